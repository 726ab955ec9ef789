// Package compare trains one model on one task by several learning rules over several
// seeds and says which differences are more than noise.
//
// Trials with the same seed are paired: they share initial parameters and batches, so that
// two rules are compared by the differences of their trials (Compare), not by whether two
// intervals overlap. Summarise makes the rows of a setting from its trials, Findings puts
// them into words, WriteTable prints them and WriteReport makes a page of them that needs
// nothing but itself.
package compare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"attractor/train"
)

// Result is a whole comparison: one model on one task, several rules, several seeds, in
// one or more settings. Its JSON form is what `attractor compare --json` prints.
type Result struct {
	Task        string      `json:"task"`
	Model       string      `json:"model"`
	Seeds       []uint64    `json:"seeds"`
	Command     string      `json:"command"`     // how to get this result again
	Version     string      `json:"version"`     // of the program
	Environment Environment `json:"environment"` // where it was measured
	Locality    []Locality  `json:"locality"`    // of the rules
	Settings    []Setting   `json:"settings"`

	NotApplicable []NotApplicable `json:"not_applicable,omitempty"` // of all rules, those that were asked for and left out
}

// NotApplicable is a rule that cannot train the model on the task.
type NotApplicable struct {
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
	err    error
}

// Err is why.
func (n NotApplicable) Err() error { return n.err }

// Environment is what wall times and peak memory depend on. Empty fields are not reported.
type Environment struct {
	Go        string `json:"go,omitempty"`        // version of the compiler
	OS        string `json:"os,omitempty"`        // for instance linux/amd64
	CPU       string `json:"cpu,omitempty"`       // model name and instruction set
	Cores     int    `json:"cores,omitempty"`     // cores that were used
	Precision string `json:"precision,omitempty"` // float32 or float64
	Date      string `json:"date,omitempty"`      // RFC 3339
}

// Setting is one way to compare: which parameters a rule may train.
type Setting struct {
	Name         string   `json:"name"` // "all-trained" or "credit-critical"
	Doc          string   `json:"doc"`  // what is trained and why that is asked
	Rules        []Row    `json:"rules"`
	FixedReadout bool     `json:"fixed_readout"`          // the rules may not train the readout
	Reference    string   `json:"reference"`              // the rule that the others are compared with
	Findings     []string `json:"findings"`               // plain English, derived from Rules only
	TuneCommand  string   `json:"tune_command,omitempty"` // that tunes the learning rates

	Alignments []Alignment `json:"alignments,omitempty"` // what all rules make of the runs of each
}

// Row is one rule in one setting, summarised over its seeds.
type Row struct {
	Rule          string             `json:"rule"`
	Control       bool               `json:"control"` // not a learning rule but a yardstick (untrained, readout-only)
	Seeds         []uint64           `json:"seeds"`
	LearningRate  float64            `json:"learning_rate"`
	RateSource    string             `json:"learning_rate_source,omitempty"` // RateTuned, RateDefault or RateGiven; empty where nothing learns, or trials differ
	RateTuned     bool               `json:"learning_rate_tuned"`            // it was tuned for this task and model
	TestAccuracy  Interval           `json:"test_accuracy"`                  // within [0, 1]
	MeanTestLoss  float64            `json:"test_loss"`
	TestLoss      Interval           `json:"test_loss_interval"`
	MeanCosine    float64            `json:"cosine_to_exact"`          // NaN when not measured
	CosineToExact *Interval          `json:"cosine_to_exact_interval"` // nil when not measured
	CosineBasis   Basis              `json:"cosine_basis"`             // the looks that it rests on
	WallS         float64            `json:"wall_s"`                   // mean seconds per trial
	Evals         float64            `json:"evals"`                    // mean evaluations of cell and adjoint product per step per sample
	PeakBytes     int64              `json:"peak_bytes"`               // largest over the trials
	Diverged      int                `json:"diverged"`                 // number of trials that diverged
	Fails         string             `json:"fails"`                    // why the rule counts as failed here, or ""
	Undecided     string             `json:"undecided,omitempty"`      // that it cannot be told from the baseline, where it does not fail
	Contrast      *Contrast          `json:"to_reference"`             // nil for the reference
	Samples       int64              `json:"samples"`                  // trained on, over all trials and steps
	Unconverged   int64              `json:"unconverged"`              // of them, those of which a solve did not converge
	FixedPoints   *train.FixedPoints `json:"fixed_points,omitempty"`   // behind the test accuracy, over the trials; nil where states are read out that nothing has solved for
	Warnings      []string           `json:"warnings,omitempty"`       // why the accuracy may be none that the network's own dynamics have
	Trials        []Trial            `json:"trials"`
}

// Trial is one training run. Trials of different rules with the same seed are paired:
// they start from the same parameters and see the same batches.
//
// A float that was not measured is NaN, never 0.
type Trial struct {
	Setting      string             `json:"setting"`
	Rule         string             `json:"rule"`
	Seed         uint64             `json:"seed"`
	LearningRate float64            `json:"learning_rate"`
	RateSource   string             `json:"learning_rate_source,omitempty"`
	RateTuned    bool               `json:"learning_rate_tuned,omitempty"`
	TestAccuracy float64            `json:"test_accuracy"`
	TestLoss     float64            `json:"test_loss"`
	WallS        float64            `json:"wall_s"`
	Evals        float64            `json:"evals"` // per step per sample
	PeakBytes    int64              `json:"peak_bytes"`
	Diverged     bool               `json:"diverged"`
	Reason       string             `json:"reason,omitempty"`       // why it diverged
	Error        string             `json:"error,omitempty"`        // why it ended early otherwise; nothing is scored then
	Unsolved     bool               `json:"unsolved,omitempty"`     // the error is that no solve of an epoch converged
	MaxRadius    float64            `json:"max_radius"`             // largest spectral radius of ∂f/∂z seen at a state that was read out
	Samples      int64              `json:"samples"`                // trained on, over all steps
	Unconverged  int64              `json:"unconverged"`            // of them, those of which a solve did not converge
	FixedPoints  *train.FixedPoints `json:"fixed_points,omitempty"` // behind the test accuracy
	Warnings     []string           `json:"warnings,omitempty"`     // of FixedPoints and Unconverged
	Curve        []Point            `json:"curve"`
	Cosine       []CosinePoint      `json:"cosine"` // nil when not measured
	Looks        []Look             `json:"looks,omitempty"`
}

// Point is one point of a learning curve, taken at the end of an epoch.
// What was not measured is NaN.
type Point struct {
	Step           int     `json:"step"`
	Epoch          float64 `json:"epoch"` // passes over the training data so far
	TrainLoss      float64 `json:"train_loss"`
	TestAccuracy   float64 `json:"test_accuracy"` // on held-out samples
	SpectralRadius float64 `json:"spectral_radius"`
}

// CosinePoint compares a rule's gradient g with the exact gradient g* of the same batch
// at the same parameters: of those samples that have an exact one.
type CosinePoint struct {
	Step      int                `json:"step"`
	Cosine    float64            `json:"cosine"`              // ⟨g, g*⟩/(‖g‖‖g*‖) over all trained parameters
	PerParam  map[string]float64 `json:"per_param,omitempty"` // the same, parameter by parameter
	NormRatio float64            `json:"norm_ratio"`          // ‖g‖/‖g*‖
	Samples   int                `json:"samples"`             // that have an exact gradient
	Missing   int                `json:"missing"`             // samples for which no fixed point was found, or at which I − J is singular
	Unstable  int                `json:"unstable"`            // fixed points, among those found, at which ∂f/∂z has a spectral radius above 1 (see Look)
}

// Basis is what the cosine of a rule rests on, over its trials.
type Basis struct {
	Looks    int `json:"looks"`    // at which a cosine was found
	Taken    int `json:"taken"`    // looks, in all
	Partial  int `json:"partial"`  // of the looks with a cosine, those that leave samples out
	Samples  int `json:"samples"`  // that have an exact gradient, over all looks
	Missing  int `json:"missing"`  // samples without one, in addition
	Unstable int `json:"unstable"` // samples, among those with one, whose fixed point iterating the cell leaves
}

// Setting returns the setting with that name, or nil.
func (r *Result) Setting(name string) *Setting {
	for i := range r.Settings {
		if r.Settings[i].Name == name {
			return &r.Settings[i]
		}
	}
	return nil
}

// Row returns the row of that rule, or nil.
func (s *Setting) Row(rule string) *Row {
	for i := range s.Rules {
		if s.Rules[i].Rule == rule {
			return &s.Rules[i]
		}
	}
	return nil
}

// The names of the two controls that the summary and the findings know.
const (
	Untrained   = "untrained"    // nothing is trained
	ReadoutOnly = "readout-only" // only the readout is trained
)

// Summary says how Summarise reads trials. The zero value is ready to use.
type Summary struct {
	// Controls are the rules that are yardsticks. Default: Untrained and ReadoutOnly.
	Controls []string
	// Baseline is the rule that every other row is compared with to see whether it learns.
	// Default: Untrained. Without trials of that rule nothing is compared with it.
	Baseline string
	// FixedReadout says that the rules of the setting may not train the readout, unlike
	// ReadoutOnly, which is then no yardstick for them.
	FixedReadout bool
	// TuneCommand tunes the learning rates, for the findings where they were not.
	TuneCommand string
}

func (s Summary) withDefaults() Summary {
	if s.Controls == nil {
		s.Controls = []string{Untrained, ReadoutOnly}
	}
	if s.Baseline == "" {
		s.Baseline = Untrained
	}
	return s
}

// NewSetting summarises the trials of one setting: rows by Summarise, findings by Findings.
func NewSetting(name, doc string, trials []Trial, opts Summary) Setting {
	s := Setting{Name: name, Doc: doc, FixedReadout: opts.FixedReadout, TuneCommand: opts.TuneCommand, Rules: Summarise(trials, opts)}
	s.contrast()
	s.Alignments = alignments(s.Rules)
	s.Findings = Findings(s)
	return s
}

// Summarise makes one row per rule from the trials of one setting, in the order in which
// the rules first appear. Trials of a row are sorted by seed.
//
// An interval is MeanInterval over every trial that has a finite value, whether the trial
// diverged or not: to leave out what went wrong would flatter a rule. A row fails
//
//   - if any of its trials diverged or ended in an error, or
//   - if nothing was measured, or
//   - if it is worse than the baseline: the 95 % interval of the difference over the shared
//     seeds lies below zero. Where no accuracy was measured (regression) the loss takes its
//     place, lower being better.
//
// Where that interval holds zero, the row is Undecided, which is no verdict: more seeds may
// tell. Where there is no interval, with a single seed or without spread, a row that is better
// in the mean is taken as better.
func Summarise(trials []Trial, opts Summary) []Row {
	opts = opts.withDefaults()
	var rows []Row
	index := map[string]int{}
	for _, t := range trials {
		i, ok := index[t.Rule]
		if !ok {
			i = len(rows)
			index[t.Rule] = i
			rows = append(rows, Row{Rule: t.Rule, Control: slices.Contains(opts.Controls, t.Rule)})
		}
		rows[i].Trials = append(rows[i].Trials, t)
	}
	for i := range rows {
		rows[i].summarise()
	}
	var base *Row
	if i, ok := index[opts.Baseline]; ok {
		base = &rows[i]
	}
	for i := range rows {
		rows[i].judge(base)
	}
	return rows
}

func (r *Row) summarise() {
	slices.SortStableFunc(r.Trials, func(a, b Trial) int {
		if a.Seed < b.Seed {
			return -1
		}
		if a.Seed > b.Seed {
			return 1
		}
		return 0
	})
	var accuracy, loss, wall, evals, cosine []float64
	r.LearningRate, r.RateSource, r.RateTuned = r.Trials[0].LearningRate, r.Trials[0].RateSource, true
	for _, t := range r.Trials {
		r.Seeds = append(r.Seeds, t.Seed)
		accuracy = append(accuracy, t.TestAccuracy)
		loss = append(loss, t.TestLoss)
		wall = append(wall, t.WallS)
		evals = append(evals, t.Evals)
		cosine = append(cosine, t.meanCosine())
		r.PeakBytes = max(r.PeakBytes, t.PeakBytes)
		if t.Diverged {
			r.Diverged++
		}
		if t.LearningRate != r.LearningRate {
			r.LearningRate = math.NaN() // not one learning rate
		}
		if t.RateSource != r.RateSource {
			r.RateSource = ""
		}
		r.RateTuned = r.RateTuned && t.RateTuned
	}
	for _, t := range r.Trials {
		r.Samples, r.Unconverged = r.Samples+t.Samples, r.Unconverged+t.Unconverged
		if t.FixedPoints != nil {
			if r.FixedPoints == nil {
				r.FixedPoints = &train.FixedPoints{}
			}
			r.FixedPoints.Add(*t.FixedPoints)
		}
		for _, w := range t.Warnings {
			r.Warnings = append(r.Warnings, fmt.Sprintf("seed %d: %s", t.Seed, w))
		}
	}
	r.TestAccuracy = spreadInterval(accuracy).Clip(0, 1)
	r.TestLoss = spreadInterval(loss)
	r.MeanTestLoss, r.MeanCosine = r.TestLoss.Mean, math.NaN()
	r.WallS = MeanInterval(wall).Mean
	r.Evals, r.CosineBasis = MeanInterval(evals).Mean, r.basis()
	if c := spreadInterval(cosine).Clip(-1, 1); !math.IsNaN(c.Mean) {
		r.CosineToExact, r.MeanCosine = &c, c.Mean
	}
}

// meanCosine is the mean over the steps at which the cosine was taken; NaN without any.
func (t *Trial) meanCosine() float64 {
	cosines := make([]float64, len(t.Cosine))
	for i, c := range t.Cosine {
		cosines[i] = c.Cosine
	}
	return MeanInterval(cosines).Mean
}

// basis counts the looks at the exact gradient over all trials.
func (r *Row) basis() (b Basis) {
	for _, t := range r.Trials {
		for _, c := range t.Cosine {
			b.Taken++
			if finite(c.Cosine) {
				b.Looks++
				b.Partial += boolInt(c.Missing > 0)
			}
			b.Samples, b.Missing, b.Unstable = b.Samples+c.Samples, b.Missing+c.Missing, b.Unstable+c.Unstable
		}
	}
	return b
}

// judge says why the row counts as failed, or that it is not decided whether it learns.
func (r *Row) judge(base *Row) {
	var reasons []string
	if r.Diverged > 0 {
		first := ""
		for _, t := range r.Trials {
			if t.Diverged && t.Reason != "" {
				first = fmt.Sprintf(" (seed %d: %s)", t.Seed, t.Reason)
				break
			}
		}
		reasons = append(reasons, fmt.Sprintf("diverged in %d of %s%s", r.Diverged, count(len(r.Trials), "seed"), first))
	}
	failed, first := 0, ""
	for _, t := range r.Trials {
		if t.Error != "" {
			if failed++; first == "" {
				first = fmt.Sprintf("seed %d: %s", t.Seed, t.Error)
			}
		}
	}
	if failed > 0 {
		reasons = append(reasons, fmt.Sprintf("ended in an error in %d of %s (%s)", failed, count(len(r.Trials), "seed"), first))
	}
	if base != nil && r.Rule != base.Rule {
		worse, undecided := r.against(base)
		if worse != "" {
			reasons = append(reasons, worse)
		}
		r.Undecided = undecided
	}
	if r.Fails = strings.Join(reasons, "; "); r.Fails != "" {
		r.Undecided = ""
	}
}

// against says that the row is shown to be worse than the baseline, or that it cannot be told from it. Both are "" where
// it is better.
func (r *Row) against(base *Row) (worse, undecided string) {
	y := byAccuracy()
	if math.IsNaN(y.mean(r)) || math.IsNaN(y.mean(base)) {
		y = byLoss()
		if math.IsNaN(y.mean(r)) || math.IsNaN(y.mean(base)) {
			return "nothing was measured", ""
		}
	}
	d := y.differ(r, base)
	switch {
	case d.N == 0:
		return "", fmt.Sprintf("cannot be told from %s: no seed has both", base.Rule)
	case d.Lo > 0 || math.IsNaN(d.Lo) && d.Mean > 0:
		return "", ""
	case d.Hi < 0:
		return fmt.Sprintf("%s %s is worse than %s's %s (%s)", y.name, y.reach(r), base.Rule, y.show(y.mean(base)), y.difference(d)), ""
	}
	return "", fmt.Sprintf("cannot be told from %s with %s (%s)", base.Rule, count(d.N, "seed"), y.difference(d))
}

func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
func plain(v float64) string   { return fmt.Sprintf("%.3g", v) }

// bracket shows the ends of an interval, or nothing where it has none.
func bracket(iv Interval, show func(float64) string) string {
	if math.IsNaN(iv.Lo) || math.IsNaN(iv.Hi) {
		return ""
	}
	return fmt.Sprintf(" [%s, %s]", strings.TrimSuffix(show(iv.Lo), " %"), strings.TrimSuffix(show(iv.Hi), " %"))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// The structs below hold floats that JSON cannot write when they are not finite. They are
// written as a train.Number is, and null or an absent key reads as NaN. Entries of a map that are not
// finite are left out.

// MarshalJSON writes what is not finite as a train.Number is.
func (iv Interval) MarshalJSON() ([]byte, error) { return encode(iv) }

// MarshalJSON writes what is not finite as a train.Number is.
func (r Row) MarshalJSON() ([]byte, error) { return encode(r) }

// MarshalJSON writes what is not finite as a train.Number is.
func (t Trial) MarshalJSON() ([]byte, error) { return encode(t) }

// MarshalJSON writes what is not finite as a train.Number is.
func (p Point) MarshalJSON() ([]byte, error) { return encode(p) }

// MarshalJSON writes what is not finite as a train.Number is.
func (c CosinePoint) MarshalJSON() ([]byte, error) { return encode(c) }

// UnmarshalJSON reads what MarshalJSON writes, and absent numbers as NaN.
func (iv *Interval) UnmarshalJSON(b []byte) error {
	type fields Interval
	return decode(b, (*fields)(iv))
}

// UnmarshalJSON reads what MarshalJSON writes, and absent numbers as NaN.
func (r *Row) UnmarshalJSON(b []byte) error {
	type fields Row
	return decode(b, (*fields)(r))
}

// UnmarshalJSON reads what MarshalJSON writes, and absent numbers as NaN.
func (t *Trial) UnmarshalJSON(b []byte) error {
	type fields Trial
	return decode(b, (*fields)(t))
}

// UnmarshalJSON reads what MarshalJSON writes, and absent numbers as NaN.
func (p *Point) UnmarshalJSON(b []byte) error {
	type fields Point
	return decode(b, (*fields)(p))
}

// UnmarshalJSON reads what MarshalJSON writes, and absent numbers as NaN.
func (c *CosinePoint) UnmarshalJSON(b []byte) error {
	type fields CosinePoint
	return decode(b, (*fields)(c))
}

// encode writes a struct field by field in their order.
func encode(v any) ([]byte, error) {
	rv := reflect.ValueOf(v)
	var out bytes.Buffer
	out.WriteByte('{')
	for i := range rv.NumField() {
		name, opts, _ := strings.Cut(rv.Type().Field(i).Tag.Get("json"), ",")
		f := rv.Field(i)
		if opts == "omitempty" && (f.IsZero() || f.Kind() == reflect.Map && f.Len() == 0) {
			continue
		}
		val := f.Interface()
		switch x := val.(type) {
		case float64:
			val = train.Number(x)
		case map[string]float64:
			kept := map[string]float64{}
			for k, y := range x {
				if finite(y) {
					kept[k] = y
				}
			}
			val = kept
		}
		b, err := json.Marshal(val)
		if err != nil {
			return nil, fmt.Errorf("compare: encode %s: %w", name, err)
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, "%q:%s", name, b)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// decode reads a struct, whose floats stay NaN where b says nothing about them.
func decode(b []byte, dst any) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return err
	}
	rv := reflect.ValueOf(dst).Elem()
	rv.SetZero()
	for i := range rv.NumField() {
		f := rv.Field(i)
		if f.Kind() != reflect.Float64 {
			continue
		}
		name, _, _ := strings.Cut(rv.Type().Field(i).Tag.Get("json"), ",")
		v := train.Number(math.NaN())
		if part, ok := parts[name]; ok {
			if err := json.Unmarshal(part, &v); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			delete(parts, name)
		}
		f.SetFloat(float64(v))
	}
	rest, err := json.Marshal(parts)
	if err != nil {
		return err
	}
	return json.Unmarshal(rest, dst)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
