package policystore

import "github.com/teishi-dev/teishi/policy"

func readOrganization(s string) (*policy.Organization, error) {
	o := &policy.Organization{}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			o.ID = w.text()
		case 2:
			w.wording("names", &o.Names)
		case 3:
			o.Kind = w.text()
		case 4:
			o.Parent = w.text()
		case 5:
			w.texts(&o.Aliases)
		case 6:
			w.pair("labels", &o.Labels)
		case 7:
			o.Retired = w.flag()
		case 8:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	return o, w.err
}

func readVendor(s string) (*policy.Vendor, error) {
	v := &policy.Vendor{}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			v.ID = w.text()
		case 2:
			w.wording("names", &v.Names)
		case 3:
			item(&w, "parents", &v.Parents, readVendorPeriod)
		case 4:
			item(&w, "countries", &v.Countries, readCountryPeriod)
		case 5:
			w.pair("labels", &v.Labels)
		case 6:
			v.Retired = w.flag()
		case 7:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	return v, w.err
}

// readVendorPeriod reads a VendorPeriod or an Ownership, which are numbered alike.
func readVendorPeriod(s string) (policy.VendorPeriod, error) {
	p := policy.VendorPeriod{Window: policy.Always}
	err := readPeriod(s, &p.Vendor, &p.Window)
	return p, err
}

func readCountryPeriod(s string) (policy.CountryPeriod, error) {
	p := policy.CountryPeriod{Window: policy.Always}
	err := readPeriod(s, &p.Country, &p.Window)
	return p, err
}

func readPeriod(s string, of *string, window *policy.Window) error {
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			*of = w.text()
		case 2:
			w.instant("start_time", &window.Start)
		case 3:
			w.instant("end_time", &window.End)
		default:
			w.unknown()
		}
	}
	return w.err
}

func readApp(s string) (*policy.App, error) {
	a := &policy.App{}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			a.ID = w.text()
		case 2:
			w.wording("names", &a.Names)
		case 3:
			item(&w, "ownerships", &a.Ownerships, readVendorPeriod)
		case 4:
			w.texts(&a.Tags)
		case 5:
			w.texts(&a.Identifiers)
		case 6:
			value(&w, &a.OnStale, onStaleFrom)
		case 7:
			w.pair("labels", &a.Labels)
		case 8:
			a.Retired = w.flag()
		case 9:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	return a, w.err
}

func readPurpose(s string) (*policy.Purpose, error) {
	p := &policy.Purpose{}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			p.ID = w.text()
		case 2:
			w.wording("names", &p.Names)
		case 3:
			p.Retired = w.flag()
		case 4:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	return p, w.err
}

func readAttribute(s string) (*policy.Attribute, error) {
	a := &policy.Attribute{}
	w := wire{rest: s}
	for w.next() {
		switch w.field {
		case 1:
			a.ID = w.text()
		case 2:
			w.wording("names", &a.Names)
		case 3:
			w.texts(&a.Values)
		case 4:
			a.Retired = w.flag()
		case 5:
			w.integer() // the revision is for output only
		default:
			w.unknown()
		}
	}
	return a, w.err
}
