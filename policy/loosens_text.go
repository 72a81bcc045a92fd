package policy

import "slices"

// noteDirective names the directive if its text is not only tightened, and those that it would end sooner.
func (l *loosening) noteDirective(id string) {
	was, is := l.before.Directive(id), l.after.Directive(id)
	if is.Withdrawal == nil {
		for _, other := range is.Supersedes {
			window := l.before.DirectiveWindow(other)
			if !window.Empty() && is.Window.Start < window.End && binds(l.before.Directive(other), nil) {
				l.named[other] = true
			}
		}
	}
	if was != nil && (guardsLess(was, is) || binds(was, nil) && !l.onlyTightens(was, is)) {
		l.named[id] = true
	}
}

// noteRelease names the directive of a new release that may open a binding provision. One that exists can only be ended.
func (l *loosening) noteRelease(k Key) {
	text := l.before.Directive(k.Directive)
	if text == nil || l.before.Release(k.Directive, k.ID) != nil {
		return
	}
	if binds(text, l.after.Release(k.Directive, k.ID).Provisions) {
		l.named[k.Directive] = true
	}
}

// binds reports whether one of the provisions is binding; no ids stand for all of the directive.
func binds(text *Directive, provisions []string) bool {
	return slices.ContainsFunc(text.Provisions, func(p Provision) bool {
		return p.Force == Binding && (len(provisions) == 0 || slices.Contains(provisions, p.ID))
	})
}

// guardsLess reports whether whoever loosens the directive would need fewer approvals, or other ones.
func guardsLess(was, is *Directive) bool {
	return is.LiftApprovals < was.LiftApprovals || is.Authority != was.Authority
}

// onlyTightens reports whether it is certain that the next text of a directive is nowhere milder.
func (l *loosening) onlyTightens(was, is *Directive) bool {
	return is.Withdrawal == nil &&
		is.Window.spans(was.Window) &&
		(is.DeviceAction == DeviceBlock || was.DeviceAction == DeviceAllow) &&
		liftsNoSooner(was, is) &&
		exemptsNoMore(was.ExemptionRules, is.ExemptionRules) &&
		l.bindsNoLess(was, is) &&
		l.carvesNoMore(was, is)
}

// liftsNoSooner reports whether the concerns that lift the directive when they are resolved are no fewer.
func liftsNoSooner(was, is *Directive) bool {
	if is.LiftMode == LiftManual {
		return true
	}
	return was.LiftMode == is.LiftMode && !slices.ContainsFunc(was.Concerns, func(c Concern) bool { return concern(is, c.ID) == nil })
}

// exemptsNoMore reports whether the next rules permit no exemption that the former do not, and oblige to no less.
func exemptsNoMore(was, is *ExemptionRules) bool {
	switch {
	case is == nil:
		return true
	case was == nil:
		return false
	}
	return within(is.Grounds, was.Grounds) &&
		(is.Approver == ApproverAuthority || was.Approver == ApproverSubject) &&
		(was.LongestDuration == 0 || 0 < is.LongestDuration && is.LongestDuration <= was.LongestDuration) &&
		within(was.Obligations, is.Obligations) &&
		within(was.NotWhole, is.NotWhole)
}

// within reports whether each of some is among all.
func within[E comparable](some, all []E) bool {
	return !slices.ContainsFunc(some, func(e E) bool { return !slices.Contains(all, e) })
}

// bindsNoLess reports whether each binding provision still binds, and covers what it did.
func (l *loosening) bindsNoLess(was, is *Directive) bool {
	return !slices.ContainsFunc(was.Provisions, func(p Provision) bool {
		return p.Force == Binding && !slices.ContainsFunc(is.Provisions, func(next Provision) bool {
			return next.ID == p.ID && next.Force == Binding && l.covers(&next.Selector, &p.Selector)
		})
	})
}

// carvesNoMore reports whether each carve-out stood there, opened what it does, and obliged to no more.
func (l *loosening) carvesNoMore(was, is *Directive) bool {
	return !slices.ContainsFunc(is.CarveOuts, func(next Release) bool {
		c := carveOut(was, next.ID)
		return c == nil || !l.covers(&c.Selector, &next.Selector) || !within(c.Obligations, next.Obligations) ||
			len(c.Provisions) > 0 && (len(next.Provisions) == 0 || !within(next.Provisions, c.Provisions))
	})
}
