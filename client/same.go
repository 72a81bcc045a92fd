package client

import (
	"reflect"
	"time"
)

// same reports whether two answers say the same, whatever policy they were made from and when.
func same(a, b *Decision) bool {
	if a.outcome != b.outcome || a.reason != b.reason || a.overridden != b.overridden || (a.cause == nil) != (b.cause == nil) {
		return false
	}
	return reflect.DeepEqual(lasting(a), lasting(b))
}

// lasting returns what of the details does not change all the time.
func lasting(d *Decision) Details {
	all := d.Details()
	all.Revision, all.Epoch, all.DecisionTime, all.CacheUntilTime, all.Freshness = 0, 0, time.Time{}, time.Time{}, Freshness{}
	return all
}
