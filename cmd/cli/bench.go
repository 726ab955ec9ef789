package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"attractor/cmd/bench"
	"attractor/cmd/peers"
	"attractor/internal/catalog"
	"attractor/internal/kernels"
	"attractor/solvers/study"
	"attractor/train"
)

// benchFlags are the options of bench.
type benchFlags struct {
	quick, noTape, peers, solvers bool
	time                          time.Duration
	python, out                   string
}

// benchmark is the output of bench --json.
type benchmark struct {
	CPU          string         `json:"cpu"`
	Instructions string         `json:"instructions"`
	OpenBLAS     string         `json:"openblas,omitempty"` // its version and kernel, where it was measured
	Cases        []bench.Result `json:"cases"`

	Peers       []peerInfo         `json:"peers,omitempty"`
	Comparisons []peers.Comparison `json:"comparisons,omitempty"`

	Solvers *study.Table `json:"solvers,omitempty"`
}

// peerInfo is a peer that was measured, or why not.
type peerInfo struct {
	Name string `json:"name"`
	peers.Info
	Missing string `json:"missing,omitempty"`
}

func (p *program) benchCommand() *cobra.Command {
	var f benchFlags
	cmd := &cobra.Command{
		Use:   "bench [WORD ...]",
		Short: "measure the speed of this machine on the cells, solves and training steps",
		Long: `Bench measures the performance cases, in float32 and on one core unless a case says
otherwise: by our own programs (ours), by the bare matrix products in them with the same kernels
on the same packed operands (gemm), and by Gorgonia's TapeMachine (tape). They take turns,
and medians are printed. In the gemm cases the tape is gonum's product, and OpenBLAS
is measured too where Python's numpy has it. With words it measures only the cases
whose names hold one of them, such as cell/64x256, step or gemm.

With --peers it measures instead a whole training step beside torchdeq on PyTorch and a
compiled step in JAX, with the same weights, solver and tolerance, and checks that the gradients
are equal; name cases to measure them as well.

With --solvers it measures instead the evaluations and the time that every solver takes on random
networks z = tanh(Wz + b) of gains 0.5 to 1.5; with --out it also draws them.`,
		Example: fmt.Sprintf(`  %[1]s bench cell adjoint
  %[1]s bench --quick
  %[1]s bench --solvers --out figures
  %[1]s bench --peers --python peers/bin/python`, p.name),
		RunE: func(cmd *cobra.Command, words []string) error {
			if f.time <= 0 {
				return usagef("--time: expected a positive duration, found %v", f.time)
			}
			if f.out != "" && !f.solvers {
				return usagef("--out is for the figure of --solvers")
			}
			release, err := p.claimFigures(f.out)
			if err != nil {
				return err
			}
			defer release()
			err = p.bench(cmd.Context(), f, words)
			if errors.Is(err, context.Canceled) {
				return fmt.Errorf("%w; nothing is kept of a measurement", errInterrupted)
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.quick, "quick", false, "only small cases, and a short time for each")
	flags.BoolVar(&f.noTape, "no-tape", false, "leave the TapeMachine out")
	flags.DurationVar(&f.time, "time", time.Second, "how long to measure a case (with --peers: five times that)")
	flags.BoolVar(&f.peers, "peers", false, "compare with torchdeq and JAX")
	flags.BoolVar(&f.solvers, "solvers", false, "measure what every solver spends on random networks")
	flags.StringVar(&f.out, "out", "", "with --solvers: `DIR` for the figure")
	flags.StringVar(&f.python, "python", "python3", "Python `INTERPRETER` that has the peers' packages")
	p.jsonFlag(cmd)
	return cmd
}

func (p *program) bench(ctx context.Context, f benchFlags, words []string) error {
	cases, shapes, budget := bench.Cases(), peers.Shapes, f.time
	for _, w := range words {
		if len(bench.Select(cases, w)) == 0 {
			return usage(catalog.Unknown("case", w, kinds(cases)))
		}
	}
	if f.quick {
		cases, shapes, budget = bench.Quick(cases), shapes[:1], min(budget, 20*time.Millisecond)
	}
	cases = bench.Select(cases, words...)
	if (f.peers || f.solvers) && len(words) == 0 {
		cases = nil
	}
	e := train.ReadEnvironment(0)
	b := benchmark{CPU: e.CPU, Instructions: kernels.Current().String(), Cases: []bench.Result{}}
	if !p.json {
		fmt.Fprintf(p.stdout, "%s, %s, medians of runs in turns\n", b.CPU, b.Instructions)
	}
	if len(cases) > 0 {
		if err := p.benchCases(ctx, &b, f, cases, budget); err != nil {
			return err
		}
	}
	if f.peers {
		if err := p.benchPeers(ctx, &b, f, shapes, 5*budget); err != nil {
			return err
		}
	}
	if f.solvers {
		if err := p.benchSolvers(ctx, &b, f); err != nil {
			return err
		}
	}
	if p.json {
		return p.printJSON(b)
	}
	return nil
}

func (p *program) benchCases(ctx context.Context, b *benchmark, f benchFlags, cases []bench.Case, budget time.Duration) error {
	o := bench.Options{Budget: budget, NoTape: f.noTape}
	if len(bench.Select(cases, "gemm/")) > 0 {
		switch s, err := peers.NumPy.Start(ctx, f.python); {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			p.log.Info("OpenBLAS is left out", "reason", err)
		case !strings.Contains(s.Info.BLAS, "openblas"):
			s.Close()
			p.log.Info("OpenBLAS is left out", "reason", "numpy has "+s.Info.BLAS)
		default:
			defer s.Close()
			o.OpenBLAS, b.OpenBLAS = s.Gemm, s.Info.BLAS
		}
	}
	m := p.meter("bench")
	results, err := bench.Run(ctx, cases, o, func(r bench.Result) {
		b.Cases = append(b.Cases, r)
		m.at(len(b.Cases), len(cases))
		m.note(r.Name)
	})
	m.end()
	if err != nil || p.json {
		return err
	}
	fmt.Fprintln(p.stdout)
	return bench.Write(p.stdout, results)
}

func (p *program) benchPeers(ctx context.Context, b *benchmark, f benchFlags, shapes []bench.Shape, budget time.Duration) error {
	var sessions []*peers.Session
	var missing []error
	for _, peer := range []peers.Peer{peers.Torchdeq, peers.JAX} {
		s, err := peer.Start(ctx, f.python)
		var absent *peers.MissingError
		if errors.As(err, &absent) {
			missing = append(missing, err)
			b.Peers = append(b.Peers, peerInfo{Name: peer.Name, Missing: err.Error()})
			p.log.Warn(err.Error())
			continue
		}
		if err != nil {
			return err
		}
		defer s.Close()
		sessions = append(sessions, s)
		b.Peers = append(b.Peers, peerInfo{Name: peer.Name, Info: s.Info})
	}
	if len(sessions) == 0 {
		return fmt.Errorf("no peer is installed: %w", errors.Join(missing...))
	}
	m := p.meter("peers")
	_, err := peers.Compare(ctx, shapes, bench.Solvers, sessions, budget, func(c peers.Comparison) {
		b.Comparisons = append(b.Comparisons, c)
		m.at(len(b.Comparisons), len(shapes)*len(bench.Solvers))
		m.note(c.Name)
	})
	m.end()
	if err != nil || p.json {
		return err
	}
	fmt.Fprintf(p.stdout, "\ntraining steps beside the peers, all solves to %g\n", bench.RTol)
	for _, s := range sessions {
		fmt.Fprintf(p.stdout, "%s: %v\n", s.Peer.Name, s)
	}
	fmt.Fprintln(p.stdout)
	return peers.Write(p.stdout, b.Comparisons)
}

// kinds are the kinds of the cases, each once.
func kinds(cases []bench.Case) []string {
	var all []string
	for _, c := range cases {
		if k := c.Kind(); !slices.Contains(all, k) {
			all = append(all, k)
		}
	}
	return all
}
