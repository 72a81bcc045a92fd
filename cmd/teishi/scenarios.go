package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	teishiv1 "github.com/teishi-dev/teishi/api/teishi/v1"
	"github.com/teishi-dev/teishi/service"
)

func (p *program) testCommand() *cobra.Command {
	output := ""
	c := &cobra.Command{
		Use:   "test DIRECTORY",
		Short: "Put the questions of scenario files to the policy beside them, without a server",
		Long: `Put the questions of scenario files to the policy beside them, without a server.

DIRECTORY, and each directory beneath it, that holds YAML is a world of its own. A file in it with a top-level list of
resources is policy, one with a top-level list of scenarios is questions with the answers they must have. Exit code 1 if
any answer is another one, or nothing was asked.`,
		Example: `  teishi test examples
  teishi test examples/line-2021 -o junit > report.xml`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			var wrong faults
			wrong.add("output", oneOf(output, "table", "json", "junit"))
			if err := wrong.err("teishi test"); err != nil {
				return err
			}
			return p.test(c.Context(), args[0], output)
		},
	}
	c.Flags().StringVarP(&output, "output", "o", "table", "print as `FORMAT`: table, json or junit")
	completeFrom(c, "output", "table", "json", "junit")
	return c
}

// result is what became of one scenario.
type result struct {
	world    string
	scenario scenario
	answer   *teishiv1.CheckResponse // nil if it was not answered
	failures []failure
}

// test runs the scenarios of every world below a directory and reports on them.
func (p *program) test(ctx context.Context, directory, output string) error {
	worlds, err := readWorlds(directory)
	if err != nil {
		return err
	}
	var results []result
	for _, w := range worlds {
		found, err := p.runWorld(ctx, w)
		if err != nil {
			return err
		}
		results = append(results, found...)
	}
	if len(results) == 0 {
		return fmt.Errorf("there are no scenarios in %s: no YAML file in it or beneath it has a top-level list of `scenarios:`", directory)
	}
	if err := reporters[output](p.stdout, results); err != nil {
		return err
	}
	if failed(results) > 0 {
		return exitCode(exitError)
	}
	return nil
}

// readWorlds reads each directory, from this one down, that holds YAML. What is wrong with any of them is told.
func readWorlds(directory string) ([]*world, error) {
	if err := checkDirectory(directory); err != nil {
		return nil, err
	}
	files, root, err := filesAt(directory)
	if err != nil {
		return nil, err
	}
	holders, err := directoriesOfYAML(files, root)
	if err != nil {
		return nil, err
	}
	var worlds []*world
	var wrong []error
	for _, holder := range holders {
		w, err := readWorld(files, holder)
		worlds, wrong = append(worlds, w), append(wrong, err)
	}
	return worlds, errors.Join(wrong...)
}

func checkDirectory(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such directory", name)
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", name)
	}
	return err
}

// filesAt returns a directory as its name in a file system, so that files are called as the user calls it if that can be.
func filesAt(directory string) (fs.FS, string, error) {
	if name := filepath.ToSlash(filepath.Clean(directory)); fs.ValidPath(name) && name != "." {
		return os.DirFS("."), name, nil
	}
	whole, err := filepath.Abs(directory)
	return os.DirFS(filepath.Dir(whole)), filepath.Base(whole), err
}

func directoriesOfYAML(files fs.FS, root string) ([]string, error) {
	var found []string
	err := fs.WalkDir(files, root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !isYAML(name) {
			return err
		}
		if directory := path.Dir(name); len(found) == 0 || found[len(found)-1] != directory {
			found = append(found, directory)
		}
		return nil
	})
	return found, err
}

// runWorld loads a world as serve --example does, into a record of its own, and asks all it has to ask.
func (p *program) runWorld(ctx context.Context, w *world) (results []result, err error) {
	c := serveConfig{domain: "teishi", store: &storeSetting{kind: "sqlite", domain: "teishi"}, logger: slog.New(slog.DiscardHandler)}
	n, err := c.newNode(ctx, "test", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	n.start()
	if err := n.ready(ctx); err != nil {
		return nil, err
	}
	if err := n.load(ctx, w); err != nil {
		return nil, err
	}
	server := n.server()
	for _, s := range w.scenarios {
		results = append(results, runScenario(ctx, server, w.name, s))
	}
	return results, nil
}

func runScenario(ctx context.Context, server *service.Server, world string, s scenario) result {
	request := s.GetCheck()
	request.Explain = request.GetExplain() || s.stated["upcoming"]
	answer, err := server.Check(ctx, request)
	if err != nil {
		unanswered := failure{field: "answer", expected: []string{"an answer"}, got: []string{"the error " + status.Convert(err).Message()}}
		return result{world: world, scenario: s, failures: []failure{unanswered}}
	}
	return result{world: world, scenario: s, answer: answer, failures: compare(s, answer)}
}
