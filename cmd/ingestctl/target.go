package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rekindledb/rekindle/arena/disk"
	"github.com/rekindledb/rekindle/engine"
)

// tenantDir is the folder of a tenant, or a copy of it under another name.
type tenantDir struct{ id, path string }

// target is what a path on the command line means.
type target struct {
	path    string
	data    string      // the data directory that it is, or lies in; "" if it lies in none
	tenants []tenantDir // ascending by id
	// misnamed are folders of a data directory with another tenant's files, a backup beside the original, say. No
	// ingester starts with one.
	misnamed []tenantDir
	single   bool // the path is one tenant's
}

// one returns the only path of a command.
func one(args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("%w: one path is needed, %d are given", errArguments, len(args))
	}
	return args[0], nil
}

// look finds out what a directory is.
func look(path string) (target, error) {
	t := target{path: path}
	info, err := os.Stat(path)
	if err != nil {
		return t, err
	}
	if !info.IsDir() {
		return t, fmt.Errorf("%s is a file; a data directory or the folder of a tenant is needed", path)
	}
	if path, err = filepath.Abs(path); err != nil {
		return t, err
	}
	if engine.IsDataDir(disk.OS, path) {
		t.data = path
		t.tenants, err = tenantsIn(path)
		t.tenants, t.misnamed = named(t.tenants)
		if err == nil && len(t.tenants)+len(t.misnamed) == 0 {
			err = fmt.Errorf("%s is a data directory without a tenant: nothing was ever written to it, or its folders are gone", t.path)
		}
		return t, err
	}
	if parent := filepath.Dir(path); engine.IsDataDir(disk.OS, parent) {
		t.data = parent
	}
	id, ok, err := engine.TenantOf(disk.OS, path)
	if err != nil {
		return t, err
	}
	if ok {
		t.tenants, t.single = []tenantDir{{id, path}}, true
		return t, nil
	}
	// A copy of a data directory may lack the folder that marks one.
	if t.tenants, err = tenantsIn(path); err != nil {
		return t, err
	}
	if len(t.tenants) == 0 {
		return t, fmt.Errorf("%s holds nothing that an ingester of this program wrote: expected a data directory (-ingester.wal-dir) or the folder of a tenant in one; a directory of Prometheus, Cortex or Mimir is read by ingestctl import", t.path)
	}
	return t, nil
}

func tenantsIn(path string) ([]tenantDir, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var out []tenantDir
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), "@") {
			continue
		}
		dir := filepath.Join(path, e.Name())
		id, ok, err := engine.TenantOf(disk.OS, dir)
		if err != nil && !errors.Is(err, os.ErrPermission) {
			return nil, err
		}
		if ok {
			out = append(out, tenantDir{id, dir})
		}
	}
	return out, nil
}

// named parts the folders that have their tenant's name from the others.
func named(list []tenantDir) (good, bad []tenantDir) {
	for _, d := range list {
		if filepath.Base(d.path) == d.id {
			good = append(good, d)
		} else {
			bad = append(bad, d)
		}
	}
	return good, bad
}

func (d tenantDir) misnamed() string {
	return fmt.Sprintf("the folder holds the files of tenant %q: no ingester starts while it lies in the data directory under another name", d.id)
}

// unheld runs do while no process holds the data directory. It fails if one did before or after: what was read then
// is neither the state before nor the one after.
func (t *target) unheld(io streams, do func() error) error {
	for _, d := range t.misnamed {
		fmt.Fprintf(io.err, "%s is passed over: %s.\n", d.path, d.misnamed())
	}
	if t.data == "" {
		return do()
	}
	who, err := engine.Holder(t.data)
	switch {
	case err != nil:
		return err
	case who != "":
		return fmt.Errorf("the data directory %s is held by %s, which changes it while it is read: stop that process first, or read a snapshot of the volume", t.data, who)
	}
	err = do()
	who, herr := engine.Holder(t.data)
	if herr == nil && who != "" {
		herr = fmt.Errorf("the data directory %s was taken by %s while it was read: the result above means nothing", t.data, who)
	}
	if herr != nil {
		return herr
	}
	return err
}
