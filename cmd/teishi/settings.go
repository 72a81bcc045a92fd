package main

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/credential"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/remote"
)

// storeFlags say which record is meant.
type storeFlags struct{ store, passwordFile, domain string }

func (f *storeFlags) register(flags *pflag.FlagSet, otherwise string) {
	flags.StringVar(&f.store, "store", "", "the record: `sqlite:FILE`, made if there is none, or postgres://USER@HOST/DATABASE, made by teishi migrate ("+otherwise+")")
	flags.StringVar(&f.passwordFile, "store-password-file", "", "read the password of the database from this `FILE`, anew for every connection")
	flags.StringVar(&f.domain, "domain", "teishi", "the `NAME` of the record, fixed when it is made")
}

// redisFlags say how a Redis is reached, whichever it is.
type redisFlags struct {
	passwordFile, sentinelPasswordFile string
	tls                                tlsFlags
}

func (f *redisFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.passwordFile, "redis-password-file", "", "read the password of Redis from this `FILE`, anew for every connection")
	flags.StringVar(&f.sentinelPasswordFile, "redis-sentinel-password-file", "", "likewise that of the Sentinels")
	f.tls.register(flags, "redis", "Redis")
}

// check notes what is wrong with the files.
func (f *redisFlags) check(wrong *faults) {
	wrong.add("redis-password-file", checkReadable(f.passwordFile))
	wrong.add("redis-sentinel-password-file", checkReadable(f.sentinelPasswordFile))
	f.tls.check(wrong)
}

// checkReadable reports as an error that a file which is read again and again cannot be read now; none is no file.
func checkReadable(file string) error {
	if file == "" {
		return nil
	}
	_, err := os.ReadFile(file)
	return err
}

// checkLocal reports as an error that there is no place for a file which is not there yet.
func checkLocal(file string) error {
	if file == "" {
		return nil
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory: name a file in it", file)
	}
	directory := filepath.Dir(file)
	if info, err := os.Stat(directory); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no directory %s to keep it in: make it first", directory)
	}
	return nil
}

// shown is what was given for a URL, unless it may have a password in it.
func shown(given string) string {
	if strings.Contains(given, "@") {
		return "what is given"
	}
	return strconv.Quote(given)
}

// redisConfig returns how the Redis is reached that a flag names by its URL.
func (p *program) redisConfig(flag, address string, f *redisFlags, domain string, logger *slog.Logger) (*redis.Config, error) {
	if err := p.checkSecret(flag, address, "--redis-password-file or --redis-sentinel-password-file"); err != nil {
		return nil, err
	}
	if logger != nil {
		logger = logger.With(slog.String("setting", named(flag)))
	}
	c := &redis.Config{
		URL:                  address,
		PasswordFile:         f.passwordFile,
		SentinelPasswordFile: f.sentinelPasswordFile,
		Files:                f.tls.files,
		Domain:               domain,
		Logger:               logger,
	}
	_, err := redis.NewSource(*c)
	return c, err
}

// checkSecret refuses a password that was given on the command line, where every process can read it.
func (p *program) checkSecret(flag, address, file string) error {
	if p.byEnvironment[flag] || !hasPassword(address) {
		return nil
	}
	return fmt.Errorf("a password on the command line can be read by every process: put the URL into %s, or the password into a file and say %s", variable(flag), file)
}

// hasPassword reports whether there is a password in a URL, or in what was meant to be one: it looks, for a list of hosts is
// no URL to net/url.
func hasPassword(address string) bool {
	_, rest, _ := strings.Cut(address, "://")
	authority := rest[:strings.IndexAny(rest+"/", "/?#")]
	user := authority[:max(0, strings.LastIndex(authority, "@"))]
	return strings.Contains(user, ":") || strings.Contains(address, "password=")
}

// originSetting is one thing to follow.
type originSetting struct {
	authority *remote.Config // of an authority; nil for a Redis
	redis     *redis.Config  // of a Redis
}

// origins returns what is to be followed, in order, as a flag names it.
func (p *program) origins(flag, urls string, f *originFlags, domain string, logger *slog.Logger) ([]originSetting, error) {
	var all []originSetting
	for _, address := range splitURLs(urls) {
		switch scheme, _, _ := strings.Cut(address, "://"); scheme {
		case "grpc", "grpcs":
			c := &remote.Config{URL: address, Domain: domain, Credentials: f.credentials()}
			authority, err := remote.New(*c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", shown(address), err)
			}
			all = append(all, originSetting{authority: c})
			if err := authority.Close(); err != nil {
				return nil, err
			}
		case "redis", "rediss", "redis+sentinel", "rediss+sentinel":
			c, err := p.redisConfig(flag, address, &f.redis, domain, logger)
			if err != nil {
				return nil, err
			}
			all = append(all, originSetting{redis: c})
		default:
			return nil, fmt.Errorf("%s is neither redis://… nor grpc://…", shown(scheme))
		}
	}
	return all, nil
}

// splitURLs splits a list at the commas before which a URL ends: one may have commas of its own.
func splitURLs(list string) []string {
	var urls []string
	for part := range strings.SplitSeq(list, ",") {
		if !strings.Contains(part, "://") && len(urls) > 0 {
			urls[len(urls)-1] += "," + part
			continue
		}
		urls = append(urls, strings.TrimSpace(part))
	}
	return urls
}

// readSigner reads the private key in a file; nil without one.
func readSigner(file string) (*policystore.Signer, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := policystore.ParseSigner(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := credential.CheckPrivate(file); err != nil {
		return nil, err
	}
	return signer, nil
}

// trustSetting is whose signatures count, and the file that says so.
type trustSetting struct {
	file string
	keys *policystore.TrustedKeys
	info fs.FileInfo // of the file as it was read
}

// readTrust reads the keys that a file trusts; nil without one.
func readTrust(file string) (*trustSetting, error) {
	if file == "" {
		return nil, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	keys, err := policystore.ParseTrustedKeys(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &trustSetting{file, keys, info}, nil
}

// checkSigner reports as an error that what is signed would not be believed.
func (t *trustSetting) checkSigner(s *policystore.Signer) error {
	if t == nil || s == nil || t.keys.Has(s) {
		return nil
	}
	return fmt.Errorf("its public key %s is not in the file of %s: add that line to it, there and wherever the record is followed", s.Public(), named("trust-keys"))
}

// trusted are the keys of the setting, none if it is nil.
func (t *trustSetting) trusted() *policystore.TrustedKeys {
	if t == nil {
		return nil
	}
	return t.keys
}

// reload reads the file again if it has changed, and reports whether it had. What cannot be read changes nothing.
func (t *trustSetting) reload() (changed bool, err error) {
	info, err := os.Stat(t.file)
	if err != nil || info.ModTime().Equal(t.info.ModTime()) && info.Size() == t.info.Size() {
		return false, err
	}
	again, err := readTrust(t.file)
	if err != nil {
		return false, err
	}
	t.info = again.info
	t.keys.Replace(again.keys)
	return true, nil
}
