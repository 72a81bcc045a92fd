package main

import (
	"github.com/spf13/pflag"

	"github.com/teishi-dev/teishi/policystore/credential"
	"github.com/teishi-dev/teishi/policystore/remote"
)

// tlsFlags name the files that TLS is spoken with.
type tlsFlags struct {
	prefix string // of their flags
	files  credential.Files
}

// register adds the flags, in words for whom it is that TLS is spoken with.
func (f *tlsFlags) register(flags *pflag.FlagSet, prefix, whom string) {
	f.prefix = prefix
	flags.StringVar(&f.files.CA, prefix+"-ca", "", "believe the certificate of "+whom+" if one in this `FILE` signed it (default those of the system)")
	flags.StringVar(&f.files.Cert, prefix+"-cert", "", "show "+whom+" the certificate in this `FILE`")
	flags.StringVar(&f.files.Key, prefix+"-key", "", "the private key of that certificate, in this `FILE`")
}

// check notes what is wrong with each of the files.
func (f *tlsFlags) check(wrong *faults) {
	_, err := f.files.Roots()
	wrong.add(f.prefix+"-ca", err)
	err = checkReadable(f.files.Cert)
	wrong.add(f.prefix+"-cert", err)
	if f.files.Key == "" {
		return
	}
	private := credential.CheckPrivate(f.files.Key)
	wrong.add(f.prefix+"-key", private)
	if f.files.Cert != "" && err == nil && private == nil {
		_, err = f.files.Pair()
		wrong.add(f.prefix+"-key", err)
	}
}

// originFlags say how what a flag names is reached, be it a Redis or an authority.
type originFlags struct {
	redis     redisFlags
	authority tlsFlags
	tokenFile string
}

func (f *originFlags) register(flags *pflag.FlagSet, prefix string) {
	f.redis.register(flags)
	f.authority.register(flags, prefix, "an authority of grpcs://…")
	flags.StringVar(&f.tokenFile, prefix+"-token-file", "", "show an authority the bearer token in this `FILE`, read anew for every call")
}

// check notes what is wrong with the files.
func (f *originFlags) check(wrong *faults) {
	f.redis.check(wrong)
	f.authority.check(wrong)
	wrong.add(f.authority.prefix+"-key", f.authority.files.Paired())
	wrong.add(f.authority.prefix+"-token-file", checkToken(f.tokenFile))
}

// credentials returns what an authority is shown, and how it is known. Without files TLS is what the URL says of it.
func (f *originFlags) credentials() remote.Credentials {
	if f.authority.files.None() {
		return remote.Credentials{Token: remote.TokenOf(f.tokenFile)}
	}
	return remote.OfFiles(f.authority.files, f.tokenFile)
}

// checkToken reports as an error that a file holds no token; none is no file.
func checkToken(file string) error {
	if file == "" {
		return nil
	}
	_, err := credential.Token(file)
	return err
}
