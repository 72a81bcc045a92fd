package policy

import "slices"

// Birth returns what the first entry of every record registers: the shipped purposes, with all their prefixes, and the
// shipped attributes. From then on they are data like any other.
func Birth() []Change {
	var changes []Change
	registered := make(map[string]bool)
	for _, id := range shippedPurposes() {
		for _, p := range missingPurposes(id, func(id string) bool { return registered[id] }) {
			registered[p.ID] = true
			changes = append(changes, Change{Put: p})
		}
	}
	for _, a := range shippedAttributes() {
		changes = append(changes, Change{Put: a})
	}
	return changes
}

// missingPurposes returns the purpose and those it lies beneath, the top first, but for what is registered.
func missingPurposes(id string, registered func(string) bool) []*Purpose {
	var missing []*Purpose
	if !registered(id) {
		missing = append(missing, &Purpose{ID: id})
	}
	for above := range prefixes(id) {
		if !registered(above) {
			missing = append(missing, &Purpose{ID: above})
		}
	}
	slices.Reverse(missing)
	return missing
}

func shippedPurposes() []string {
	return []string{
		"internal.messaging", "internal.messaging.leave", "internal.scheduling",
		"public.broadcast", "public.disaster", "public.recruitment",
		"feedback.questionnaire", "feedback.opinion", "feedback.inquiry", "feedback.chatbot", "feedback.defect-report",
		"service.application", "service.reservation", "service.vaccination-booking", "service.waste-collection",
		"service.payment", "service.local",
		"counselling.suicide", "counselling.bullying", "counselling.child", "counselling.human-rights", "counselling.general",
		"health.monitoring",
		"mission.law-enforcement", "mission.national-security", "mission.security-research", "mission.regulatory",
		"marketing.outreach", "research.academic",
	}
}

func shippedAttributes() []*Attribute {
	return []*Attribute{
		{ID: "data-sensitivity", Values: []string{"public", "internal", "confidential", "secret"}},
		{ID: "personal-data", Values: []string{"none", "staff", "resident"}},
		{ID: "data-path", Values: []string{"vendor-service", "contractor-domestic", "contractor-foreign", "none"}},
		{ID: "act", Values: []string{"install", "use", "web-access", "procure", "develop"}},
		{ID: "device", Values: []string{"government-issued", "government-issued.standalone", "government-enrolled",
			"contractor", "contractor.incidental", "personal"}},
		{ID: "platform", Values: []string{"ios", "android", "macos", "windows", "linux", "web"}},
		{ID: "account", Values: []string{"official", "personal"}},
	}
}
