package policy_test

import (
	"reflect"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// command checks that a command's changes are the wanted ones and lawful, and returns the policy after them.
func command(t *testing.T, s *policy.Snapshot, got []policy.Change, err error, want ...policy.Change) *policy.Snapshot {
	t.Helper()
	if err != nil {
		t.Fatalf("the command failed: %v", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the command changes %s, want %s", written(got), written(want))
	}
	return propose(t, s, got)
}

func written(changes []policy.Change) (list []string) {
	for _, c := range changes {
		if c.Put == nil {
			list = append(list, "delete "+c.Delete.String())
		} else {
			list = append(list, c.Key().String()+" "+everythingOf(c.Put))
		}
	}
	return list
}

// failed checks that a command was refused for the wanted reason.
func failed(t *testing.T, what string, changes []policy.Change, err, want error) {
	t.Helper()
	if changes != nil || !same(err, want) {
		t.Errorf("%s = %v, %v, want %T %+v", what, changes, err, want, want)
	}
}

func nothing() error {
	return &policy.NotFoundError{Key: key(policy.KindDirective, "nothing")}
}

func TestCommandIssue(t *testing.T) {
	s := lawfulPolicy(t)
	written := order()
	written.Window.Start = policy.Beginning
	written.Withdrawal, written.AdoptedFrom = &policy.Withdrawal{}, &policy.AdoptedFrom{}
	written.CarveOuts = []policy.Release{{ID: "a", Selector: policy.Selector{Window: policy.Always}}}
	want := order()
	want.Window.Start = on("2021-05-01")
	want.CarveOuts = []policy.Release{{ID: "a", Directive: "order", Kind: policy.CarveOut, Selector: policy.Selector{Window: policy.Always}, EndTime: policy.Forever}}
	changes, err := s.Issue(written, on("2021-05-01"))
	command(t, s, changes, err, puts(want)...)
	if written.Withdrawal == nil || written.CarveOuts[0].Kind != 0 || written.Window.Start != policy.Beginning {
		t.Error("Issue changed its argument")
	}
	changes, err = s.Issue(order(), on("2021-05-01"))
	command(t, s, changes, err, puts(order())...)
	changes, err = s.Issue(halt(), on("2021-05-01"))
	failed(t, "Issue of what exists", changes, err, &policy.ExistsError{Key: halt().Key()})
}

func TestCommandAmend(t *testing.T) {
	s := lawfulPolicy(t)
	amended := halt()
	amended.Concerns = amended.Concerns[1:]
	changes, err := s.Amend(amended)
	next := command(t, s, changes, err, append(puts(amended), deletes(keyIn(policy.KindConcern, "halt", "location"))...)...)
	if next.ConcernState("halt", "location") != nil {
		t.Error("Amend kept the state of a concern it dropped")
	}
	unstated := halt()
	unstated.Window.Start = policy.Beginning
	if changes, err = s.Amend(unstated); err == nil {
		_, err = s.Propose(s.Revision()+1, changes)
	}
	failed(t, "Amend without an effective time", nil, err, invalid("effective_time"))
	changes, err = s.Amend(&policy.Directive{ID: "nothing"})
	failed(t, "Amend of nothing", changes, err, nothing())
	changes, err = s.Amend(&policy.Directive{ID: "void"})
	failed(t, "Amend of what is withdrawn", changes, err, forbidden("void", "directive"))
}

func TestCommandWithdraw(t *testing.T) {
	s := lawfulPolicy(t)
	want := halt()
	want.Withdrawal = &policy.Withdrawal{Time: on("2021-05-01"), Reason: "by mistake"}
	changes, err := s.Withdraw("halt", "by mistake", on("2021-05-01"))
	s = command(t, s, changes, err, puts(want)...)
	for what, try := range map[string]func() ([]policy.Change, error){
		"Withdraw": func() ([]policy.Change, error) { return s.Withdraw("halt", "again", on("2021-05-02")) },
		"Amend":    func() ([]policy.Change, error) { return s.Amend(halt()) },
		"Lift":     func() ([]policy.Change, error) { return s.Lift(another(lift()), on("2021-05-02"), 7) },
		"Exempt":   func() ([]policy.Change, error) { return s.Exempt(another(exemption()), on("2021-05-02"), 7) },
		"Revoke":   func() ([]policy.Change, error) { return s.Revoke("halt", "partial", on("2021-05-02")) },
		"ResolveConcern": func() ([]policy.Change, error) {
			return s.ResolveConcern(&policy.ConcernState{Directive: "halt", Concern: "access"}, 7)
		},
		"ReopenConcern": func() ([]policy.Change, error) {
			return s.ReopenConcern(&policy.ConcernState{Directive: "halt", Concern: "location"})
		},
		"RecordStatement": func() ([]policy.Change, error) {
			return s.RecordStatement(&policy.Statement{Directive: "halt", ID: "x"})
		},
		"Adopt": func() ([]policy.Change, error) {
			return s.Adopt(policy.Adoption{Directive: "halt", ID: "x", Authority: "osaka"})
		},
	} {
		changes, err := try()
		failed(t, what+" of what is withdrawn", changes, err, forbidden("halt", "directive"))
	}
	changes, err = s.Withdraw("nothing", "", on("2021-05-01"))
	failed(t, "Withdraw of nothing", changes, err, nothing())
}

func TestCommandLift(t *testing.T) {
	s := lawfulPolicy(t)
	changes, err := s.Lift(&policy.Release{Directive: "halt", Selector: policy.Selector{Window: policy.Always}, EndTime: on("2021-05-03")}, on("2021-05-01"), 6)
	command(t, s, changes, err, puts(&policy.Release{ID: "lift-6", Directive: "halt", Kind: policy.Lift,
		Selector: policy.Selector{Window: since("2021-05-01")}, EndTime: policy.Forever})...)
	changes, err = s.Lift(another(lift()), on("2021-05-01"), 6)
	command(t, s, changes, err, puts(another(lift()))...)
	for _, id := range []string{"partial", "judges", "develop"} {
		changes, err = s.Lift(&policy.Release{Directive: "halt", ID: id}, on("2021-05-01"), 6)
		failed(t, "Lift called "+id, changes, err, &policy.ExistsError{Key: keyIn(policy.KindRelease, "halt", id)})
	}
	changes, err = s.Lift(&policy.Release{Directive: "nothing"}, on("2021-05-01"), 6)
	failed(t, "Lift of nothing", changes, err, nothing())
}

func TestCommandExempt(t *testing.T) {
	s := lawfulPolicy(t)
	asked, want := exemption(), exemption()
	asked.ID, asked.Kind, asked.Selector.Window.Start = "", 0, policy.Beginning
	want.ID, want.Selector.Window.Start = "exemption-6", on("2021-05-01")
	changes, err := s.Exempt(asked, on("2021-05-01"), 6)
	command(t, s, changes, err, puts(want)...)
	changes, err = s.Exempt(exemption(), on("2021-05-01"), 6)
	failed(t, "Exempt called as another", changes, err, &policy.ExistsError{Key: exemption().Key()})
}

func TestCommandRevoke(t *testing.T) {
	s := lawfulPolicy(t)
	ended := lift()
	ended.EndTime = on("2021-04-15")
	changes, err := s.Revoke("halt", "partial", on("2021-04-15"))
	command(t, s, changes, err, puts(ended)...)
	changes, err = s.Revoke("halt", "develop", on("2021-04-15"))
	failed(t, "Revoke of a carve-out", changes, err, forbidden("halt", "release"))
	changes, err = s.Revoke("halt", "nothing", on("2021-04-15"))
	failed(t, "Revoke of nothing", changes, err, &policy.NotFoundError{Key: keyIn(policy.KindRelease, "halt", "nothing")})
	changes, err = s.Revoke("nothing", "partial", on("2021-04-15"))
	failed(t, "Revoke of nothing's", changes, err, nothing())
}

func TestCommandConcerns(t *testing.T) {
	s := lawfulPolicy(t)
	state := func(concern, day string, resolved bool) *policy.ConcernState {
		return &policy.ConcernState{Directive: "halt", Concern: concern, Resolved: resolved, Evidence: "seen", ResolvedBy: "local", Time: on(day)}
	}
	concernLift := func(id, day string, end policy.Instant) *policy.Release {
		return &policy.Release{ID: id, Directive: "halt", Kind: policy.Lift, Selector: policy.Selector{Window: since(day)}, EndTime: end}
	}
	resolve := func(concern, day string, want ...policy.Resource) {
		t.Helper()
		changes, err := s.ResolveConcern(state(concern, day, false), s.Revision()+1)
		s = command(t, s, changes, err, puts(want...)...)
	}
	reopen := func(concern, day string, want ...policy.Resource) {
		t.Helper()
		changes, err := s.ReopenConcern(state(concern, day, true))
		s = command(t, s, changes, err, puts(want...)...)
	}

	changes, err := s.ResolveConcern(state("location", "2021-05-01", true), 6)
	failed(t, "ResolveConcern of what is resolved", changes, err, forbidden("halt", "concern"))
	changes, err = s.ReopenConcern(state("access", "2021-05-01", false))
	failed(t, "ReopenConcern of what is open", changes, err, forbidden("halt", "concern"))
	unknown := &policy.NotFoundError{Key: keyIn(policy.KindConcern, "halt", "weather")}
	changes, err = s.ResolveConcern(state("weather", "2021-05-01", true), 6)
	failed(t, "ResolveConcern of an unknown one", changes, err, unknown)
	changes, err = s.ReopenConcern(state("weather", "2021-05-01", true))
	failed(t, "ReopenConcern of an unknown one", changes, err, unknown)
	changes, err = s.ResolveConcern(&policy.ConcernState{Directive: "nothing"}, 6)
	failed(t, "ResolveConcern of nothing", changes, err, nothing())

	resolve("access", "2021-05-01", state("access", "2021-05-01", true), concernLift("concerns-6", "2021-05-01", policy.Forever))
	reopen("location", "2021-05-02", state("location", "2021-05-02", false), concernLift("concerns-6", "2021-05-01", on("2021-05-02")))
	reopen("access", "2021-05-03", state("access", "2021-05-03", false))
	resolve("access", "2021-05-04", state("access", "2021-05-04", true))
	resolve("location", "2021-05-05", state("location", "2021-05-05", true), concernLift("concerns-10", "2021-05-05", policy.Forever))

	manual := halt()
	manual.LiftMode = policy.LiftManual
	s = propose(t, s, puts(manual))
	reopen("access", "2021-05-06", state("access", "2021-05-06", false), concernLift("concerns-10", "2021-05-05", on("2021-05-06")))
	resolve("access", "2021-05-07", state("access", "2021-05-07", true))
}

func TestCommandRecordStatement(t *testing.T) {
	s := lawfulPolicy(t)
	st := &policy.Statement{Directive: "halt", ID: "x", Author: "a", Text: "b", Time: on("2021-03-23")}
	changes, err := s.RecordStatement(st)
	command(t, s, changes, err, puts(st)...)
	changes, err = s.RecordStatement(&policy.Statement{Directive: "nothing"})
	failed(t, "RecordStatement about nothing", changes, err, nothing())
}

func TestCommandPutRegistry(t *testing.T) {
	s := lawfulPolicy(t)
	changes, err := s.PutRegistry(&policy.Purpose{ID: "service.tax.return"}, line(), &policy.Purpose{ID: "tax.land.house"}, &policy.Purpose{ID: "tax"})
	command(t, s, changes, err, puts(&policy.Purpose{ID: "service.tax.return"}, line(), &policy.Purpose{ID: "tax.land.house"}, &policy.Purpose{ID: "tax"},
		&policy.Purpose{ID: "service.tax"}, &policy.Purpose{ID: "tax.land"})...)
	changes, err = s.PutRegistry(&policy.Purpose{ID: "tax..return"})
	if err == nil {
		_, err = s.Propose(6, changes)
	}
	failed(t, "PutRegistry of a bad purpose", nil, err, invalid("id"))
	changes, err = s.PutRegistry(line(), halt())
	failed(t, "PutRegistry of a directive", changes, err, invalid("resource"))
}

func TestCommandDelete(t *testing.T) {
	s := lawfulPolicy(t)
	changes, err := s.Delete(key(policy.KindOrganization, "ward"))
	s = command(t, s, changes, err, deletes(key(policy.KindOrganization, "ward"))...)
	changes, err = s.Delete(key(policy.KindOrganization, "ward"))
	failed(t, "Delete of nothing", changes, err, &policy.NotFoundError{Key: key(policy.KindOrganization, "ward")})
	changes, err = s.Delete(halt().Key())
	failed(t, "Delete of a directive", changes, err, invalid("id"))
}
