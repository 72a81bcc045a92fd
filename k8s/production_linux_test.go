package k8s_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/teishi-dev/teishi/cluster"
	"github.com/teishi-dev/teishi/cluster/trust"
	"github.com/teishi-dev/teishi/service/identity/identitytest"
)

// TestProductionStarts makes what README.md says is to be made for the overlay production, as it says so, and runs the pods on it:
// they answer their probes, know their callers, and prove what they have applied, with Redis and without.
func TestProductionStarts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.shell(s.section, func(block string) bool { return !strings.Contains(block, "grpcurl") })
	s.certificates()
	s.migrate()
	authority := s.start("teishi-authority")
	s.authority = authority.address
	point := s.start("teishi-decision-point")
	s.shell(s.section, func(block string) bool { return strings.Contains(block, "grpcurl") })
	s.follows("redis")

	s.knows(`"cn:administrator"`, s.administrator()...)
	s.knows(`"user:`+s.issuer.URL+`#`+identitytest.Subject+`"`, "-H", "authorization: Bearer "+s.token())
	if out, err := s.grpcurl(authority.address, "", "teishi.v1.AccessService/WhoAmI"); err == nil {
		t.Errorf("who shows nothing is told %s", out)
	}
	s.decides(point)

	if err := s.redis.Kill(); err != nil {
		t.Fatal(err)
	}
	s.follows("grpc")
	for owner, p := range map[string]*process{"teishi-decision-point": point, "teishi-authority": authority} {
		p.stop(t, time.Duration(*s.pod(owner).spec.TerminationGracePeriodSeconds)*time.Second)
	}
}

// site is what is outside of the pods, and what stands in for a cluster: its objects are files, each OBJECTS/KIND/NAME/KEY.
type site struct {
	*testing.T
	section   string // of README.md
	pods      []pod
	binary    string
	directory string // where commands are run
	env       []string
	redis     *cluster.Redis
	issuer    *identitytest.Issuer
	authority string // its address, when it is known
}

func newSite(t *testing.T) *site {
	s := &site{T: t, section: section(t, sections["overlays/production"]), pods: render(t, "overlays/production").pods, binary: build(t),
		directory: t.TempDir()}
	c := cluster.Test(t)
	ca, err := c.NewCA()
	s.check(err)
	s.copy(ca.File, "redis.crt")
	s.copy(ca.File, "postgres.crt")
	s.issue()
	s.env = append(os.Environ(), "PATH="+strings.Join([]string{filepath.Dir(s.binary), s.tools(), os.Getenv("PATH")}, ":"),
		"OBJECTS="+s.objects(), "ISSUER="+s.issuer.URL)
	s.servers(c, ca)
	return s
}

func (s *site) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *site) objects() string { return filepath.Join(s.directory, "objects") }

func (s *site) write(name, text string, mode os.FileMode) {
	s.Helper()
	s.check(os.WriteFile(filepath.Join(s.directory, name), []byte(text), mode))
}

func (s *site) copy(file, name string) { s.write(name, read(s.T, file), 0o600) }

// issue has somebody issue tokens, whom the pods believe as they believe everybody whom their image does.
func (s *site) issue() {
	ca, err := trust.NewCA("system", nil)
	s.check(err)
	s.write("system.crt", string(ca.PEM), 0o600)
	s.issuer, err = identitytest.StartIssuer(ca)
	s.check(err)
	s.Cleanup(func() { _ = s.issuer.Close() })
}

func (s *site) token() string {
	token, err := s.issuer.Token()
	s.check(err)
	return token
}

// tools makes a directory of what README.md runs beside the program: grpcurl, and what stands in for kubectl.
func (s *site) tools() string {
	find := exec.Command("go", "tool", "-modfile=tools/go.mod", "-n", "grpcurl")
	find.Dir = ".."
	out, err := find.Output()
	s.check(err)
	s.check(os.MkdirAll(filepath.Join(s.directory, "bin"), 0o700))
	s.check(os.Symlink(strings.TrimSpace(string(out)), filepath.Join(s.directory, "bin", "grpcurl")))
	s.write("bin/kubectl", kubectl, 0o700)
	return filepath.Join(s.directory, "bin")
}

// kubectl keeps the keys of Secrets and ConfigMaps that it is told to create as files, and does nothing else.
const kubectl = `#!/bin/sh -e
[ "$1 $3" = "-n create" ] || exit 0
kind=$4
[ "$kind" = configmap ] || shift
name=$5
shift 5
mkdir -p "$OBJECTS/$kind"
mkdir "$OBJECTS/$kind/$name"
cd "$OBJECTS/$kind/$name"
for said; do
  value=${said#*=}
  case $said in
  --from-literal=*) printf %s "${value#*=}" >"${value%%=*}" ;;
  --from-file=*) cp "$OLDPWD/${value#*=}" "${value%%=*}" ;;
  --cert=*) cp "$OLDPWD/$value" tls.crt ;;
  --key=*) cp "$OLDPWD/$value" tls.key ;;
  *) echo "kubectl: what is $said?" >&2 && exit 1 ;;
  esac
done
`

// servers starts a PostgreSQL and a Redis that speak TLS alone, with the users that there are to be, and says where they are.
func (s *site) servers(c *cluster.Cluster, ca *cluster.CA) {
	postgres, err := c.StartPostgres(s.Context(), cluster.PostgresConfig{TLS: ca})
	s.check(err)
	name, err := postgres.CreateDatabase(s.Context())
	s.check(err)
	_, rest, _ := strings.Cut(postgres.DSN(name), ":")
	_, rest, _ = strings.Cut(rest, ":")
	password, _, _ := strings.Cut(rest, "@")
	s.write("owner.password", password, 0o600)
	s.write("writer.password", password, 0o600)
	s.redis, err = c.StartRedis(s.Context(), cluster.RedisConfig{TLS: ca, Users: s.redisUsers()})
	s.check(err)
	database := postgres.Addr() + "/" + name
	s.env = append(s.env, "OWNER="+cluster.Owner, "WRITER="+cluster.Owner, "DATABASE="+database, "POOLER="+database, "REDIS="+s.redis.Addr())
}

// redisUsers are those that the program says Redis is to have.
func (s *site) redisUsers() []cluster.RedisUser {
	acl, err := exec.Command(s.binary, "redis", "acl").Output()
	s.check(err)
	var all []cluster.RedisUser
	for _, line := range regexp.MustCompile(`(?m)^user teishi-(\w+) on #\S+ (.*)$`).FindAllStringSubmatch(string(acl), -1) {
		u := cluster.RedisUser{Name: "teishi-" + line[1], Password: rand.Text(), Rules: line[2]}
		s.write(line[1]+".password", u.Password, 0o600)
		all = append(all, u)
	}
	return all
}

// shell runs blocks of commands in a text. The port that they forward is that of the authority.
func (s *site) shell(text string, wanted func(string) bool) {
	s.Helper()
	var commands []string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1) {
		if wanted(block[1]) {
			commands = append(commands, block[1])
		}
	}
	if len(commands) == 0 {
		s.Fatal("README.md has no such commands")
	}
	script := strings.ReplaceAll(strings.Join(commands, ""), "localhost:50051", local(s.authority))
	if out, err := s.run("sh", "-euc", script); err != nil {
		s.Fatalf("%v\n%s\n%s", err, script, out)
	}
}

func (s *site) run(name string, args ...string) (string, error) {
	c := exec.CommandContext(s.Context(), name, args...)
	c.Dir, c.Env = s.directory, s.env
	out, err := c.CombinedOutput()
	return string(out), err
}

// local returns an address with the name that certificates have for this machine.
func local(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }

// certificates checks that cert-manager is asked for the certificates that openssl makes, in the Secrets that pods have.
func (s *site) certificates() {
	_, block, _ := strings.Cut(s.section, "```yaml\napiVersion: cert-manager.io")
	block, _, _ = strings.Cut(block, "```")
	asked := strings.Split(block, "\n---\n")
	if len(asked) != 2 {
		s.Fatalf("cert-manager is asked for %d certificates, want 2", len(asked))
	}
	for _, text := range asked {
		var c struct {
			Spec struct {
				SecretName string   `yaml:"secretName"`
				DNSNames   []string `yaml:"dnsNames"`
				Usages     []string `yaml:"usages"`
			} `yaml:"spec"`
		}
		s.check(yaml.Unmarshal([]byte(strings.TrimPrefix(text, "/v1\n")), &c))
		made := s.certificate(c.Spec.SecretName)
		if diff := cmp.Diff(made.DNSNames, c.Spec.DNSNames); diff != "" {
			s.Errorf("names in %s (-openssl +cert-manager):\n%s", c.Spec.SecretName, diff)
		}
		if diff := cmp.Diff(usages(made), c.Spec.Usages); diff != "" {
			s.Errorf("usages in %s (-openssl +cert-manager):\n%s", c.Spec.SecretName, diff)
		}
	}
}

// certificate returns the one in a Secret.
func (s *site) certificate(secret string) *x509.Certificate {
	block, _ := pem.Decode([]byte(read(s.T, filepath.Join(s.objects(), "secret", secret, corev1.TLSCertKey))))
	c, err := x509.ParseCertificate(block.Bytes)
	s.check(err)
	return c
}

// usages are those of a certificate as cert-manager names them.
func usages(c *x509.Certificate) []string {
	var all []string
	if c.KeyUsage == x509.KeyUsageDigitalSignature {
		all = append(all, "digital signature")
	}
	for _, u := range c.ExtKeyUsage {
		all = append(all, map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "server auth", x509.ExtKeyUsageClientAuth: "client auth"}[u])
	}
	return all
}

// pod returns the pods of that owner.
func (s *site) pod(owner string) pod {
	return s.pods[slices.IndexFunc(s.pods, func(p pod) bool { return p.owner == owner })]
}

// prepare mounts the volumes of a pod, and returns the arguments and variables that its program then has.
func (s *site) prepare(p pod) (args, env []string) {
	var places []string
	for _, mount := range p.container().VolumeMounts {
		i := slices.IndexFunc(p.spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		places = append(places, mount.MountPath+"/", s.mount(p.spec.Volumes[i])+"/")
	}
	places = append(places, "teishi-authority.teishi.svc.cluster.local:50051", local(s.authority))
	here := strings.NewReplacer(places...)
	for _, arg := range p.container().Args {
		args = append(args, here.Replace(arg))
	}
	for _, e := range p.container().Env {
		env = append(env, e.Name+"="+here.Replace(s.value(p, e)))
	}
	return args, append(env, "SSL_CERT_FILE="+filepath.Join(s.directory, "system.crt"))
}

// mount makes a directory of what a volume has, with the modes that it has there.
func (s *site) mount(v corev1.Volume) string {
	directory := s.TempDir()
	if source(v) == "" {
		return directory
	}
	from := filepath.Join(s.objects(), strings.ReplaceAll(source(v), " ", "/"))
	mode := os.FileMode(0o644)
	if v.Secret != nil {
		mode = os.FileMode(*v.Secret.DefaultMode)
	}
	keys, err := os.ReadDir(from)
	s.check(err)
	for _, key := range keys {
		if holds(v, key.Name()) {
			s.check(os.WriteFile(filepath.Join(directory, key.Name()), []byte(read(s.T, filepath.Join(from, key.Name()))), mode))
		}
	}
	return directory
}

// value returns the value of a variable of a pod.
func (s *site) value(p pod, e corev1.EnvVar) string {
	if e.ValueFrom.ResourceFieldRef != nil {
		return fmt.Sprint(p.container().Resources.Limits.Memory().Value())
	}
	ref := e.ValueFrom.ConfigMapKeyRef
	return read(s.T, filepath.Join(s.objects(), "configmap", ref.Name, ref.Key))
}

// migrate runs the Job.
func (s *site) migrate() {
	args, env := s.prepare(s.pod("teishi-migrate"))
	c := exec.CommandContext(s.Context(), s.binary, args...)
	c.Env = env
	if out, err := c.CombinedOutput(); err != nil {
		s.Fatalf("migrate: %v\n%s", err, out)
	}
}

// start runs a pod until each of its probes is answered.
func (s *site) start(owner string) *process {
	p := s.pod(owner)
	args, env := s.prepare(p)
	metrics, err := cluster.FreeAddress()
	s.check(err)
	i := slices.Index(args, "--metrics-listen=:9090")
	args[i] = "--metrics-listen=" + metrics
	running := launch(s.T, s.binary, args, env)
	for of, probe := range probes(p) {
		s.check(cluster.Wait(s.Context(), "the "+of+" probe of "+owner, func(ctx context.Context) error {
			return ask(ctx, "https://"+metrics+probe.HTTPGet.Path)
		}))
	}
	return running
}

// ask asks as a kubelet does, which checks no certificate.
func ask(ctx context.Context, url string) error {
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	return nil
}

// follows waits until the fleet has a decision point that follows a source, and is fresh by it.
func (s *site) follows(source string) {
	s.Helper()
	row := regexp.MustCompile(`(?m)FRESH +\S+ +` + source + ` +\d`)
	s.check(cluster.Wait(s.Context(), "a decision point that follows "+source, func(context.Context) error {
		out, err := s.run(s.binary, "fleet", "--once", "--server", local(s.authority), "--tls-ca", "ca.crt", "--tls-cert", "administrator.crt", "--tls-key", "administrator.key")
		if err != nil || !row.MatchString(out) {
			return fmt.Errorf("%s %w", out, err)
		}
		return nil
	}))
}

// administrator is what the first administrator shows.
func (s *site) administrator() []string {
	return []string{"-cert", "administrator.crt", "-key", "administrator.key"}
}

// knows checks as whom an authority knows who shows something.
func (s *site) knows(want string, shown ...string) {
	s.Helper()
	out, err := s.grpcurl(s.authority, "", "teishi.v1.AccessService/WhoAmI", shown...)
	if err != nil || !strings.Contains(out, want) {
		s.Errorf("who shows %q is known as %s (%v), want %s", shown, out, err, want)
	}
}

// decides checks that a decision point answers whom it knows, and writes down that it did.
func (s *site) decides(p *process) {
	s.Helper()
	const question = `{"organization":"nobody","app":"line"}`
	out, err := s.grpcurl(p.address, question, "teishi.v1.DecisionService/Check", s.administrator()...)
	if err != nil || !strings.Contains(out, "OUTCOME_DENIED") {
		s.Errorf("%s is answered %s (%v), want OUTCOME_DENIED", question, out, err)
		return
	}
	bark := time.AfterFunc(watchdog, func() { p.command.Process.Kill() })
	defer bark.Stop()
	line, err := p.out.ReadString('\n')
	if err != nil || !strings.Contains(line, `"principal":"cn:administrator"`) {
		s.Errorf("of that, %s is written down (%v)", line, err)
	}
}

// grpcurl calls a method at an address.
func (s *site) grpcurl(address, message, method string, shown ...string) (string, error) {
	args := append([]string{"-cacert", "ca.crt"}, shown...)
	return s.run(filepath.Join(s.directory, "bin", "grpcurl"), append(args, "-d", message, local(address), method)...)
}
