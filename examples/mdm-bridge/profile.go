package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"os"
	"slices"
	"text/template"
)

// profile is what devices are to enforce. Supervised devices know a list of what is blocked, and one of what alone is allowed.
type profile struct {
	Organization string
	Blocked      []string
	Allowed      []string
	OnlyAllowed  bool
}

func (p profile) same(other profile) bool {
	return p.Organization == other.Organization && p.OnlyAllowed == other.OnlyAllowed &&
		slices.Equal(p.Blocked, other.Blocked) && slices.Equal(p.Allowed, other.Allowed)
}

// save writes the profile so that whoever reads the file sees all of the one before or all of this.
func (p profile) save(file string) error {
	var text bytes.Buffer
	if err := mobileconfig.Execute(&text, p); err != nil {
		return err
	}
	if err := os.WriteFile(file+".tmp", text.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(file+".tmp", file)
}

// UUID names a payload: always the same for the same organization, so that a profile replaces the one before it.
func (p profile) UUID(payload string) string {
	h := sha256.Sum256([]byte("teishi/mdm-bridge/" + p.Organization + "/" + payload))
	return fmt.Sprintf("%X-%X-%X-%X-%X", h[0:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// mobileconfig is a profile with one payload, com.apple.applicationaccess, of iOS 15 and later.
var mobileconfig = template.Must(template.New("mobileconfig").Funcs(template.FuncMap{"x": escape}).Parse(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadType</key><string>Configuration</string>
	<key>PayloadVersion</key><integer>1</integer>
	<key>PayloadIdentifier</key><string>dev.teishi.restrictions.{{x .Organization}}</string>
	<key>PayloadUUID</key><string>{{.UUID "profile"}}</string>
	<key>PayloadDisplayName</key><string>Suspended apps</string>
	<key>PayloadOrganization</key><string>{{x .Organization}}</string>
	<key>PayloadScope</key><string>System</string>
	<key>PayloadRemovalDisallowed</key><true/>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadType</key><string>com.apple.applicationaccess</string>
			<key>PayloadVersion</key><integer>1</integer>
			<key>PayloadIdentifier</key><string>dev.teishi.restrictions.{{x .Organization}}.apps</string>
			<key>PayloadUUID</key><string>{{.UUID "apps"}}</string>
			{{- if .OnlyAllowed}}
			<key>allowListedAppBundleIDs</key>
			<array>{{range .Allowed}}<string>{{x .}}</string>{{end}}</array>
			{{- else}}
			<key>blockedAppBundleIDs</key>
			<array>{{range .Blocked}}<string>{{x .}}</string>{{end}}</array>
			{{- end}}
		</dict>
	</array>
</dict>
</plist>
`))

func escape(s string) (string, error) {
	var text bytes.Buffer
	err := xml.EscapeText(&text, []byte(s))
	return text.String(), err
}
