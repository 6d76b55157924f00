package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// Every argument of Cortex 1.10 and 1.21 is taken, all of them at once with Cortex's own defaults: as flags, and as a file.
func TestEveryArgumentOfCortexIsKnown(t *testing.T) {
	var args []string
	file := map[string]any{}
	for _, a := range known().all {
		if a.flag != "" && a.flag != "config.file" && a.flag != "version" && a.flag != "blocks-storage.tsdb.dir" {
			v := strings.Trim(a.standard, "[]")
			if a.kind == "bool" && v == "" {
				v = "false"
			}
			if v == "" && (a.kind == "int" || a.kind == "duration" || a.kind == "float") {
				v = "0"
			}
			args = append(args, "-"+a.flag+"="+v)
		}
		if a.yaml == "" {
			continue
		}
		section, path := file, strings.Split(a.yaml, ".")
		for _, name := range path[:len(path)-1] {
			sub, ok := section[name].(map[string]any)
			if !ok {
				sub = map[string]any{}
				section[name] = sub
			}
			section = sub
		}
		var v any
		if err := yaml.Unmarshal([]byte(a.standard), &v); err != nil || a.kind == "list" {
			v = nil
		}
		section[path[len(path)-1]] = v
	}
	o, err := load(args)
	if err != nil {
		t.Fatalf("as flags: %v", err)
	}
	if n := len(o.ignored); n < 1500 {
		t.Errorf("%d arguments have no effect of %d", n, len(args))
	}
	for _, a := range o.ignored {
		if a.why() == "" {
			t.Errorf("%s is ignored without a reason", a.name())
		}
	}
	b, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "cortex.yaml")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := load([]string{"-config.file=" + name}); err != nil {
		t.Fatalf("as a file: %v", err)
	}
}

// What a StatefulSet of Cortex 1.21 is typically given starts, keeps its data on the volume that it names, and -check-config
// tells what became of each argument. The file is that of Cortex's introduction, in its essence.
func TestArgumentsOfAStatefulSet(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("BUCKET", "blocks")
	file := filepath.Join(dir, "cortex.yaml")
	if err := os.WriteFile(file, []byte(`
target: ingester
auth_enabled: false
server:
  http_listen_port: 9009
  grpc_server_max_concurrent_streams: 1000
distributor: {shard_by_all_labels: true, pool: {health_check_ingesters: true}}
ingester_client: {grpc_client_config: {grpc_compression: gzip}}
ingester:
  lifecycler:
    min_ready_duration: 0s
    final_sleep: 0s
    num_tokens: 512
    join_after: 0
    ring: {kvstore: {store: consul, consul: {host: consul:8500}}, replication_factor: 1}
blocks_storage:
  backend: s3
  tsdb: {dir: `+dir+`/tsdb, ship_interval: 1m}
  s3: {bucket_name: "${BUCKET:none}", endpoint: "s3:${PORT_OF_S3:9000}"}
memberlist: {join_members: [a, b], abort_if_cluster_join_fails: false}
ruler: {anything: {at: all}}
compactor: {}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	args := []string{"-config.file=" + file, "-config.expand-env", "-ingester.num-tokens=64", "-check-config", "-ingester.max-series-per-user", "5", "-mem-ballast-size-bytes=1"}
	if code := start(context.Background(), args, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
		t.Fatalf("%d: %s", code, &stderr)
	}
	for _, line := range []string{
		"-ingester.num-tokens=64", "ingester.lifecycler.ring.kvstore.store (file)",
		"-blocks-storage.tsdb.dir=" + dir + "/tsdb: data is kept beside it, in -ingester.wal-dir=" + dir + "/tsdb-rekindle",
		"-distributor.shard-by-all-labels: the distributor decides this", "-blocks-storage.s3.bucket-name: there is no long-term storage yet",
		"-ingester.max-series-per-user: limits of tenants", "ruler: (file) it belongs to another module", "-mem-ballast-size-bytes: the data is not on the Go heap",
	} {
		if !strings.Contains(stdout.String(), "  "+line) {
			t.Errorf("not said: %s in\n%s", line, &stdout)
		}
	}
	o, err := load(args[:3])
	if err != nil {
		t.Fatal(err)
	}
	l := o.Ingester.Lifecycler
	if l.NumTokens != 64 || l.Ring.KVStore.Store != "consul" || l.Ring.KVStore.Consul.Host != "consul:8500" || o.Ingester.WAL.Dir != dir+"/tsdb-rekindle" || len(o.Memberlist.JoinMembers) != 2 {
		t.Errorf("%+v", o.Config)
	}
	if got := string(expandEnv([]byte("a ${BUCKET} ${NOTHING:x:y} ${NOTHING} $BUCKET"))); got != "a blocks x:y  $BUCKET" {
		t.Errorf("environment: %q", got)
	}
}

// A restart is fast unless somebody asks for waiting (trap 11), and Mimir's names set what Cortex's do.
func TestLifecyclerDefaultsAndAliases(t *testing.T) {
	o, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := o.Ingester.Lifecycler
	if l.MinReady+l.FinalSleep+l.JoinAfter+l.ObservePeriod != 0 || l.UnregisterOnStop || l.CheckRingHealth || l.Ring.KVStore.Store != storeInMemory || l.NumTokens != 128 || l.HeartbeatPeriod != 5*time.Second {
		t.Errorf("%+v", l)
	}
	o, err = load([]string{
		"-ingester.ring.store=etcd", "-ingester.ring.etcd.endpoints=a:1", "-ingester.ring.instance-id=x", "-ingester.ring.num-tokens=9",
		"-ingester.ring.instance-availability-zone=z", "-ingester.ring.unregister-on-shutdown", "-ingester.ring.replication-factor=3",
	})
	if err != nil {
		t.Fatal(err)
	}
	l = o.Ingester.Lifecycler
	if l.Ring.KVStore.Store != "etcd" || !slices.Equal(l.Ring.KVStore.Etcd.Endpoints, []string{"a:1"}) || l.ID != "x" || l.NumTokens != 9 || l.Zone != "z" || !l.UnregisterOnStop || len(o.ignored) != 1 {
		t.Errorf("%+v, ignored %d", l, len(o.ignored))
	}
}

var update = flag.Bool("update", false, "write the reference of arguments anew")

const referenceFile = "ARGUMENTS.md"

// The reference of arguments says what the program does. After a change: go test ./cmd/ingester -run Reference -update
func TestReference(t *testing.T) {
	want := referencePage(t)
	if *update {
		if err := os.MkdirAll(filepath.Dir(referenceFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(referenceFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date; go test ./cmd/ingester -run Reference -update writes it", referenceFile)
	}
}

func referencePage(t *testing.T) []byte {
	o := new(options)
	fs, _ := o.flagSet(nil)
	paths := map[uintptr]string{}
	yamlPaths(reflect.ValueOf(&o.Config).Elem(), "", paths)

	var b, deviations bytes.Buffer
	fmt.Fprint(&b, `# Arguments

Made by a test of `+"`cmd/ingester`"+`; do not edit. Settings are given as flags, or in the YAML file of `+"`-config.file`"+`, in Cortex's shape; flags win.
Durations are written 300ms, 5s, 10m. `+"`-check-config`"+` says what became of the arguments that it is given with.

## In force

| flag | YAML | default | |
|---|---|---|---|
`)
	fs.VisitAll(func(f *flag.Flag) {
		path := paths[reflect.ValueOf(f.Value).Pointer()]
		value := f.DefValue
		if f.Name == "ingester.lifecycler.ID" || f.Name == "memberlist.nodename" {
			value = ""
		}
		fmt.Fprintf(&b, "| `-%s` | %s | %s | %s |\n", f.Name, code(path), code(value), strings.ReplaceAll(f.Usage, "|", `\|`))
		if a := known().byFlag[f.Name]; a != nil && a.standard != "" && !sameDefault(a.standard, value) {
			fmt.Fprintf(&deviations, "| `-%s` | %s | %s |\n", f.Name, code(value), code(a.standard))
		}
	})
	fmt.Fprintf(&b, "\n## Where defaults differ from Cortex's\n\nOf 1.21.1, or of 1.10.0 if it is gone there.\n\n| flag | here | Cortex |\n|---|---|---|\n%s", &deviations)

	fmt.Fprint(&b, "\n## Known and without effect\n\nEach is accepted, named in one warning at the start, and counted in `cortex_deprecated_flags_inuse_total`.\n")
	byReason := map[string][]string{}
	modules := map[string]int{}
	for _, a := range known().all {
		if fs.Lookup(a.flag) != nil {
			continue
		}
		why := a.why()
		if why == reasons[0].why {
			modules[a.module()]++
			continue
		}
		byReason[why] = append(byReason[why], code(a.name()))
	}
	for _, why := range sorted(byReason) {
		fmt.Fprintf(&b, "\n**%s**: %s\n", why, strings.Join(byReason[why], ", "))
	}
	fmt.Fprintf(&b, "\n**%s**, by section of the file: ", reasons[0].why)
	for i, m := range sorted(modules) {
		if i > 0 {
			fmt.Fprint(&b, ", ")
		}
		fmt.Fprintf(&b, "`%s` (%d)", m, modules[m])
	}
	fmt.Fprintln(&b)
	return b.Bytes()
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}

// sameDefault compares as values: 1m and 1m0s are the same.
func sameDefault(a, b string) bool {
	x, err1 := time.ParseDuration(a)
	y, err2 := time.ParseDuration(b)
	norm := func(s string) string { return strings.ReplaceAll(strings.Trim(s, "[]"), " ", ",") }
	return err1 == nil && err2 == nil && x == y || norm(a) == norm(b)
}

// yamlPaths finds the path of each setting by the address that its flag writes to.
func yamlPaths(v reflect.Value, path string, to map[uintptr]string) {
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "-" || !f.IsExported() {
			continue
		}
		name := path + tag
		if strings.Contains(options, "inline") {
			name = strings.TrimSuffix(path, ".")
		}
		if _, there := to[field.Addr().Pointer()]; !there || field.Kind() != reflect.Struct {
			to[field.Addr().Pointer()] = name
		}
		if field.Kind() == reflect.Struct {
			if name != "" {
				name += "."
			}
			yamlPaths(field, name, to)
		}
	}
}
