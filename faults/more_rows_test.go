package faults

var deliveryRows, storeRows, clockRows, recordRows []row
