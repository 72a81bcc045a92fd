package policy_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/teishi-dev/teishi/policy"
)

// accepted reports whether an organization may have the alias.
func accepted(alias string) bool {
	_, err := policy.New().Propose(1, puts(&policy.Organization{ID: "x", Aliases: []string{alias}}))
	return err == nil
}

// slips are the texts that differ from the digits by one digit.
func slips(digits string) []string {
	var list []string
	for i := range digits {
		for d := byte('0'); d <= '9'; d++ {
			if d != digits[i] {
				list = append(list, digits[:i]+string(d)+digits[i+1:])
			}
		}
	}
	return list
}

func TestLocalGovernmentCodes(t *testing.T) {
	// Hokkaido, Sapporo, Tokyo, Chiyoda, Osaka, its ward Kita, Shijonawate, Tottori City, Karatsu, Okinawa.
	for _, code := range []string{"010006", "011002", "130001", "131016", "271004", "271276", "272299", "312011", "412023", "470007"} {
		if !accepted("jis:" + code) {
			t.Errorf("jis:%s is refused, want it accepted", code)
		}
	}
	for _, slip := range slips("131016") {
		if strings.HasSuffix(slip, "6") && accepted("jis:"+slip) {
			t.Errorf("jis:%s is accepted, want it refused", slip)
		}
	}
	for _, bad := range []string{"10006", "0100060", "13101x", "", "１３１０１６"} {
		if accepted("jis:" + bad) {
			t.Errorf("jis:%s is accepted, want it refused", bad)
		}
	}
}

func TestCorporateNumbers(t *testing.T) {
	for _, number := range []string{"7000012050002", "4011001098993", "2000012020001"} {
		if !accepted("corporate-number:" + number) {
			t.Errorf("corporate-number:%s is refused, want it accepted", number)
		}
	}
	for _, bad := range []string{"8000012050002", "7000012050003", "700001205000", "70000120500020", "7000012050oo2", ""} {
		if accepted("corporate-number:" + bad) {
			t.Errorf("corporate-number:%s is accepted, want it refused", bad)
		}
	}
}

// TestLocalGovernmentCodesOfAll reads the lists of all local governments of Japan (code4fukui/localgovjp, CC0), which lie
// beside a checkout and are not part of it.
func TestLocalGovernmentCodesOfAll(t *testing.T) {
	dir := filepath.Join("..", "..", "shared", "data")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the lists are not here: ", err)
	}
	for name, want := range map[string]int{"localgovjp.csv": 1741 + 175, "prefjp.csv": 47} {
		codes := columnOf(t, filepath.Join(dir, name), "lgcode")
		if len(codes) != want {
			t.Errorf("%s has %d codes, want %d", name, len(codes), want)
		}
		for _, code := range codes {
			code = strings.Repeat("0", 6-len(code)) + code
			if !accepted("jis:" + code) {
				t.Errorf("%s: jis:%s is refused, want it accepted", name, code)
			}
		}
	}
}

func columnOf(t *testing.T, path, column string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	at := slices.Index(rows[0], column)
	for _, row := range rows[1:] {
		list = append(list, row[at])
	}
	return list
}

func TestLanguages(t *testing.T) {
	for tag, want := range map[string]string{
		"ja": "", "en": "", "zh-Hant-TW": "", "es-419": "", "de-CH-1996": "", "sl-rozaj-biske": "", "en-x-us-Cabi": "write it en-x-us-cabi",
		"ja-u-ca-japanese": "", "x-private": "", "zh-yue-HK": "", "ja-Latn-hepburn": "",
		"JA": "write it ja", "zh-hant": "write it zh-Hant", "en-us": "write it en-US", "en-US-X-AB": "write it en-US-x-ab",
		"": "BCP 47", "j": "BCP 47", "ja_JP": "BCP 47", "japanese language": "BCP 47", "ja-": "BCP 47", "en-u": "BCP 47",
		"日本": "BCP 47", "en-x-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd": "BCP 47",
	} {
		_, err := policy.New().Propose(1, puts(&policy.App{ID: "x", Names: policy.TextOf(map[string]string{tag: "name"})}))
		if want == "" && err != nil || want != "" && !same(err, invalidAs(`names["`+tag+`"]`, want)) {
			t.Errorf("Propose of a name in %q = %v, want %q", tag, err, want)
		}
	}
}

func TestCountries(t *testing.T) {
	for code, want := range map[string]bool{
		"JP": true, "KR": true, "CN": true, "US": true, "GB": true, "AD": true, "ZW": true, "XK": true, "QM": true, "ZZ": true, "AA": true,
		"UK": false, "EU": false, "JA": false, "QL": false, "jp": false, "JPN": false, "J": false, "": false, "D ": false, " A": false, "DA": false,
	} {
		_, err := policy.New().Propose(1, puts(&policy.Vendor{ID: "x", Countries: []policy.CountryPeriod{{Country: code, Window: policy.Always}}}))
		if (err == nil) != want {
			t.Errorf("Propose of a vendor of %q = %v, want accepted = %v", code, err, want)
		}
	}
}

func TestBirth(t *testing.T) {
	s := propose(t, policy.New(), policy.Birth())
	if got, want := s.Count(policy.KindAttribute), 7; got != want {
		t.Errorf("Birth registers %d attributes, want %d", got, want)
	}
	var roots []string
	for r := range s.Resources(policy.KindPurpose) {
		if id := r.Key().ID; !strings.Contains(id, ".") {
			roots = append(roots, id)
		}
	}
	want := []string{"counselling", "feedback", "health", "internal", "marketing", "mission", "public", "research", "service"}
	if !slices.Equal(roots, want) {
		t.Errorf("Birth registers the purposes %v, want %v", roots, want)
	}
	for _, id := range []string{"internal.messaging.leave", "service.vaccination-booking", "research.academic"} {
		if s.Purpose(id) == nil {
			t.Errorf("Birth does not register %s", id)
		}
	}
	if got, want := s.Count(policy.KindPurpose), 29+len(want); got != want {
		t.Errorf("Birth registers %d purposes, want %d", got, want)
	}
}
