package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// alias checks another name of an organization. Check digits are verified where the scheme is known to have them.
func alias(at *field, s string) error {
	scheme, value, _ := strings.Cut(s, ":")
	switch {
	case len(s) > MaxAliasLength:
		return at.wrong(fmt.Sprintf("longer than %d characters", MaxAliasLength))
	case !IsSlug(scheme) || value == "" || !printable(value):
		return at.wrong("not scheme:value, a slug and printable ASCII without space")
	case scheme == "jis" && !localGovernmentCode(value):
		return at.wrong("not a local-government code of six digits, or its check digit is wrong")
	case scheme == "corporate-number" && !corporateNumber(value):
		return at.wrong("not a corporate number of thirteen digits, or its check digit is wrong")
	}
	return nil
}

// localGovernmentCode reports whether s is a code of the Japanese ministry of internal affairs: two digits for the
// prefecture, three for the municipality, and a check digit.
func localGovernmentCode(s string) bool {
	if len(s) != 6 || !digits(s) {
		return false
	}
	sum := 0
	for i := range 5 {
		sum += (6 - i) * int(s[i]-'0')
	}
	return int(s[5]-'0') == (11-sum%11)%10
}

// corporateNumber reports whether s is a number of the Japanese tax agency: a check digit, and twelve digits that are
// counted from the right, those in even places twice.
func corporateNumber(s string) bool {
	if len(s) != 13 || !digits(s) {
		return false
	}
	sum := 0
	for i := 1; i < 13; i++ {
		digit := int(s[13-i] - '0')
		sum += digit * (2 - i%2)
	}
	return int(s[0]-'0') == 9-sum%9
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// appIdentifier checks what a device or network calls an app. It is held in the case in which it is written, but a domain
// has only one.
func appIdentifier(at *field, s string) error {
	scheme, value, _ := strings.Cut(s, ":")
	switch {
	case !identifierScheme(scheme):
		return at.wrong(fmt.Sprintf("scheme %q is not one of android, domain, ios, macos, windows", scheme))
	case len(s) > MaxIdentLength:
		return at.wrong(fmt.Sprintf("longer than %d characters", MaxIdentLength))
	case value == "" || !printable(value):
		return at.wrong("not printable ASCII without space")
	case scheme == schemeDomain && !domainName(value):
		return at.wrong("not a domain of two labels or more, in lower-case A-labels")
	}
	return nil
}

// country checks an ISO 3166-1 alpha-2 code. A code that no country has would suspend nothing, unnoticed.
func country(at *field, s string) error {
	if len(s) != 2 || strings.Contains(s, " ") || !strings.Contains(assignedCountries, s) && !userAssigned(s) {
		return at.wrong("not a code of ISO 3166-1 alpha-2 in upper case")
	}
	return nil
}

// assignedCountries are the officially assigned codes.
const assignedCountries = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS " +
	"BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ " +
	"FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT " +
	"JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP " +
	"MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE " +
	"RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV " +
	"TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW"

// userAssigned reports whether the two letters are among those that ISO 3166-1 leaves to its users: AA, QM to QZ, XA to
// XZ (of which XK is widely taken for Kosovo) and ZZ.
func userAssigned(s string) bool {
	return s == "AA" || s == "ZZ" || s[0] == 'Q' && 'M' <= s[1] && s[1] <= 'Z' || s[0] == 'X' && 'A' <= s[1] && s[1] <= 'Z'
}

// maxLanguageLength is what BCP 47 tells implementers to expect.
const maxLanguageLength = 35

// languageTag is the grammar of BCP 47, but for tags grandfathered by name.
var languageTag = regexp.MustCompile(`^(?i:(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{5,8})` + // language
	`(?:-[a-z]{4})?` + // script
	`(?:-(?:[a-z]{2}|[0-9]{3}))?` + // region
	`(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*` + // variants
	`(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*` + // extensions
	`(?:-x(?:-[a-z0-9]{1,8})+)?` + // private use
	`|x(?:-[a-z0-9]{1,8})+)$`)

// language checks a BCP 47 tag. Tags are compared as they are written, so they must be written in the customary case.
func language(at *field, tag string) error {
	if len(tag) > maxLanguageLength || !languageTag.MatchString(tag) {
		return at.wrong("not a language tag of BCP 47")
	}
	if customary := customaryCase(tag); tag != customary {
		return at.wrong("write it " + customary)
	}
	return nil
}

// customaryCase writes a tag as RFC 5646, section 2.1.1, says: ja, zh-Hant-TW, en-x-us.
func customaryCase(tag string) string {
	parts := strings.Split(strings.ToLower(tag), "-")
	for i := 1; i < len(parts) && len(parts[i-1]) > 1; i++ {
		switch len(parts[i]) {
		case 2:
			parts[i] = strings.ToUpper(parts[i])
		case 4:
			parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
		}
	}
	return strings.Join(parts, "-")
}
