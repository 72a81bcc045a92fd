package redis

import "sync"

// doubts tells whether Redis shows that the record was rewound, whenever that changes.
type doubts struct {
	tell func(error) // may be nil

	mu   sync.Mutex
	told bool
	last error
}

// set tells what a look at Redis has shown.
func (d *doubts) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.told || text(err) != text(d.last) {
		d.say(err)
	}
}

// unknown tells that there is no doubt, unless something was told before.
func (d *doubts) unknown() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.told {
		d.say(nil)
	}
}

// say is called with the lock, so that what is told is in order.
func (d *doubts) say(err error) {
	d.told, d.last = true, err
	if d.tell != nil {
		d.tell(err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
