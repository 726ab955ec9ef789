package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"attractor/deq"
	"attractor/internal/atomicfile"
	"attractor/internal/catalog"
	"attractor/internal/checkpoint"
	"attractor/internal/npz"
	"attractor/internal/options"
	"attractor/internal/quote"
	"attractor/models"
	"attractor/train"
	"attractor/train/rules"
	"attractor/train/tasks"
)

// gradientFlags are what gradient is told besides the configuration.
type gradientFlags struct {
	config              configFlags
	weights, batch, out string
}

func (p *program) gradientCommand() *cobra.Command {
	var f gradientFlags
	cmd := &cobra.Command{
		Use:   "gradient",
		Short: "write a rule's gradient for given weights and a given batch",
		Long: `Gradient takes the gradient of the mean loss that a rule gives for weights and a batch of your own, and writes
it to an .npz, for whoever wants to check it by other means. It is that of a first step of train with the same
options, before clipping and the optimiser, in float64 unless train.precision says float32: with the masks of
model.dropout, the noise and the probes that train.seed gives the first step for these rows in this order, with what
regularizer.* adds, and for the parameters that train.trained lets learn. Flossing, which moves the weights, has no part.

--weights is the folder of a run or its checkpoint, whose model and options then hold, or an .npz or .safetensors
with an array for each parameter of --model, under its name (help MODEL); units are counted there. Parameters of the
rule's own are arrays rule/NAME; those that are not there are drawn from the seed, others are refused. They are

` + ownArrays + `

help RULE has them with their shapes.

--batch is an .npz with x [batch, inputs], or [batch, steps, inputs] of trials, and
  labels  [batch] or [batch, steps], classes from 0; or
  y       [batch, outputs] or [batch, steps, outputs], real targets (integers of one dimension less than x are labels);
  weights [batch, steps], of the losses of trials; without it every step counts alike;
  start   one number, that of all the state's at the beginning of trials, 0 without it.
Labels or targets of trials without the dimension of the steps are those of the last step, and alone have a loss.

The .npz that is written holds the gradient of each parameter that learns under its name; loss; z, what was read out:
[batch, units], or of trials [batch, steps, units] after each step; outputs likewise; of a rule's own parameters
rule/NAME, their gradients, where they learn, and rule_params/NAME, their values; and effective/NAME, the weights that
the cell makes of a parameter, where the model masks, signs or normalises it.

Where samples do not converge it is written all the same, and the exit code is 4, unless train.unconverged is
accept.`,
		Example: fmt.Sprintf(`  %[1]s gradient --weights runs/a --batch batch.npz --rule jfb --out jfb.npz
  %[1]s gradient --weights w.npz --model gru --batch trials.npz --rule e-prop --set rule.feedback=random`, p.name),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.weights == "" || f.batch == "" {
				return usagef("expected --weights FILE and --batch FILE; see %s --help", cmd.CommandPath())
			}
			w, saved, sets, err := readWeights(f.weights)
			if err != nil {
				return usage(err)
			}
			if f.config.file == "" && saved == "" {
				sets = append([]string{"train.precision=float64"}, sets...)
			}
			f.config.sets = append(sets, f.config.sets...)
			c, err := read(&f.config, p.parts64, saved)
			if err != nil {
				return err
			}
			if c.Train.Precision == "float64" {
				return writeGradient(cmd.Context(), p, f, c, p.parts64, w)
			}
			c32, err := read(&f.config, p.parts32, saved)
			if err != nil {
				return err
			}
			return writeGradient(cmd.Context(), p, f, c32, p.parts32, w)
		},
	}
	f.config.add(p, cmd, "task", "epochs", "batch", "lr")
	cmd.Flags().StringVar(&f.weights, "weights", "", "`FILE` of the weights, or the folder of a run")
	cmd.Flags().StringVar(&f.batch, "batch", "", "`FILE` of the batch, an .npz")
	cmd.Flags().StringVar(&f.out, "out", "gradient.npz", "`FILE` that is written")
	p.jsonFlag(cmd)
	return cmd
}

// readWeights reads a file of weights, or the folder of a run. saved is the configuration of that, sets the model of a
// checkpoint alone.
func readWeights(path string) (w train.Weights, saved string, sets []string, err error) {
	w = train.Weights{Source: quote.Path(path), Params: map[string]train.Array{}, Own: map[string]train.Array{}}
	put := func(name string, a train.Array) {
		if strings.HasPrefix(name, "effective/") {
			return // of the parameters, which are there too
		}
		if own, ok := strings.CutPrefix(name, "rule_params/"); ok {
			w.Own[own] = a
		} else if own, ok := strings.CutPrefix(name, "rule/"); ok {
			w.Own[own] = a
		} else {
			w.Params[strings.TrimPrefix(name, "params/")] = a
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return w, "", nil, err
	}
	file := path
	if info.IsDir() {
		if err := isRun(path); err != nil {
			return w, "", nil, fmt.Errorf("--weights: %s is not the folder of a run: it has no %s", path, train.ConfigFile)
		}
		saved, file = filepath.Join(path, train.ConfigFile), filepath.Join(path, train.CheckpointFile)
	}
	if !strings.HasSuffix(file, ".safetensors") {
		z, err := npz.Open(file)
		if err != nil {
			return w, "", nil, err
		}
		defer z.Close()
		for _, name := range z.Names() {
			a, err := z.Read(name)
			if err != nil {
				return w, "", nil, err
			}
			put(name, train.Array{Shape: a.Shape, Data: a.Data})
		}
		return w, saved, nil, nil
	}
	c, err := checkpoint.LoadForeign(file, nil)
	if err != nil {
		return w, "", nil, err
	}
	named := tensors{file, c.Tensors}
	for _, name := range named.names() {
		if strings.HasPrefix(name, "optim/") || strings.HasPrefix(name, "warm/") || strings.HasPrefix(name, "flossing/") {
			continue
		}
		data, err := named.read(name)
		if err != nil {
			return w, "", nil, err
		}
		put(name, train.Array{Shape: c.Tensors[name].Shape, Data: data})
	}
	if model := c.Meta["config/model"]; model != "" && saved == "" {
		sets = append(sets, "model="+model)
		for key, value := range c.Meta {
			if strings.HasPrefix(key, "config/model.") && value != "" {
				sets = append(sets, strings.TrimPrefix(key, "config/")+"="+value)
			}
		}
		slices.Sort(sets[1:])
	}
	w.Run = c.Meta["config/model"] != ""
	return w, saved, sets, nil
}

// batchArrays are the names of the arrays of a batch.
var batchArrays = []string{"x", "y", "labels", "weights", "start"}

// readBatch reads a batch, and the names of arrays that have no meaning in it.
func readBatch(path string) (d *tasks.Dataset, ignored []string, err error) {
	d, err = readBatchAs(path, &ignored)
	return d, ignored, err
}

func readBatchAs(path string, ignored *[]string) (*tasks.Dataset, error) {
	f, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	arrays := map[string]npz.Array{}
	for _, name := range f.Names() {
		if !slices.Contains(batchArrays, name) {
			*ignored = append(*ignored, name)
			continue
		}
		a, err := f.Read(name)
		if err != nil {
			return nil, err
		}
		for i, v := range a.Data {
			if v-v != 0 {
				return nil, fmt.Errorf("%s: array %q: expected finite numbers, found %v at %s", path, name, v, bracketed(position(i, a.Shape)))
			}
		}
		arrays[name] = a
	}
	x, ok := arrays["x"]
	fail := func(name, expected string) error {
		return fmt.Errorf("%s: array %q: expected shape %s, found %s", path, name, expected, bracketed(arrays[name].Shape))
	}
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: expected an array \"x\" of inputs, found none", path)
	case len(x.Shape) != 2 && len(x.Shape) != 3 || slices.Min(x.Shape) < 1:
		return nil, fail("x", "[batch, inputs] or [batch, steps, inputs]")
	}
	rows, steps := x.Shape[0], 0
	if len(x.Shape) == 3 {
		steps = x.Shape[1]
	}
	d := &tasks.Dataset{Name: path, Inputs: x.Shape[len(x.Shape)-1], Steps: steps}
	if start, ok := arrays["start"]; ok {
		if len(start.Data) != 1 {
			return nil, fail("start", "[], one number")
		}
		d.Start = start.Data[0]
	}
	s := tasks.Split{N: rows, Steps: steps, X: x.Data}
	labels, classes := arrays["labels"]
	y, targets := arrays["y"]
	if targets && !classes && len(y.Shape) == len(x.Shape)-1 && strings.ContainsAny(y.Type, "iu") {
		labels, classes, targets = y, true, false
	}
	last := false // one label or target of each trial, of its last step
	switch {
	case classes == targets:
		return nil, fmt.Errorf("%s: expected either an array \"labels\" or an array \"y\", found %s", path, map[bool]string{true: "both", false: "none of them"}[classes])
	case classes:
		last = steps > 0 && slices.Equal(labels.Shape, []int{rows})
		if !last && !slices.Equal(labels.Shape, x.Shape[:len(x.Shape)-1]) {
			return nil, fail("labels", bracketed(x.Shape[:len(x.Shape)-1])+", as x is "+bracketed(x.Shape))
		}
		d.Kind = tasks.Classification
		for i, v := range labels.Data {
			if v != math.Trunc(v) || v < 0 || v > math.MaxInt32 {
				return nil, fmt.Errorf("%s: labels: expected classes from 0, found %v at %s", path, v, bracketed(position(i, labels.Shape)))
			}
			s.Labels = append(s.Labels, int32(v))
		}
	default:
		last = steps > 0 && len(y.Shape) == 2 && y.Shape[0] == rows
		if !last && (len(y.Shape) != len(x.Shape) || !slices.Equal(y.Shape[:len(y.Shape)-1], x.Shape[:len(x.Shape)-1])) || y.Shape[len(y.Shape)-1] < 1 {
			return nil, fail("y", "[batch, outputs], of trials also [batch, steps, outputs], as x is "+bracketed(x.Shape))
		}
		d.Kind, d.Outputs, s.Y = tasks.Regression, y.Shape[len(y.Shape)-1], y.Data
	}
	if w, ok := arrays["weights"]; ok {
		if steps == 0 || last || !slices.Equal(w.Shape, []int{rows, steps}) {
			return nil, fail("weights", "[batch, steps] beside labels or targets of every step, as x is "+bracketed(x.Shape))
		}
		for i, v := range w.Data {
			if v < 0 {
				return nil, fmt.Errorf("%s: weights: expected numbers of at least 0, found %v at %s", path, v, bracketed(position(i, w.Shape)))
			}
		}
		s.Weights = w.Data
	}
	if last {
		s = lastOnly(s, d)
	}
	d.Train, d.Test = s, s
	return d, nil
}

// lastOnly gives the labels or targets of trials to their last steps.
func lastOnly(s tasks.Split, d *tasks.Dataset) tasks.Split {
	labels, y := s.Labels, s.Y
	s.Labels, s.Y, s.Weights = nil, nil, make([]float64, s.N*s.Steps)
	for b := range s.N {
		s.Weights[(b+1)*s.Steps-1] = 1
	}
	if labels != nil {
		s.Labels = make([]int32, s.N*s.Steps)
	} else {
		s.Y = make([]float64, s.N*s.Steps*d.Outputs)
	}
	for b := range s.N {
		at := (b+1)*s.Steps - 1
		if labels != nil {
			s.Labels[at] = labels[b]
		} else {
			copy(s.Y[at*d.Outputs:], y[b*d.Outputs:(b+1)*d.Outputs])
		}
	}
	return s
}

// gradientReport is the output of gradient --json.
type gradientReport struct {
	File       string              `json:"file"`
	Model      string              `json:"model"`
	Rule       string              `json:"rule"`
	Precision  string              `json:"precision"`
	Loss       train.Number        `json:"loss"`
	Batch      int                 `json:"batch"`
	Steps      int                 `json:"steps"`    // of the trials; 0 where a sample is one input
	Failed     int                 `json:"failed"`   // samples of which some solve did not converge, or that drifted
	Residual   train.Number        `json:"residual"` // of the state that was read out, largest of the batch; null of trials
	Solves     []gradientSolve     `json:"solves"`   // of the equilibrium and of the rule's own
	Parameters []gradientParameter `json:"parameters"`
	Own        []gradientParameter `json:"rule_parameters"`
}

// gradientSolve is a solve of the step.
type gradientSolve struct {
	Of       string       `json:"of"`
	Failed   int          `json:"failed"`   // samples that did not converge
	Residual train.Number `json:"residual"` // largest of the batch
	Evals    int          `json:"evals"`    // largest of the batch
}

type gradientParameter struct {
	Name    string       `json:"name"`
	Shape   []int        `json:"shape"`
	Norm    train.Number `json:"norm"`
	Largest train.Number `json:"largest"` // absolute value of an entry
	Fixed   bool         `json:"fixed,omitempty"`
	Drawn   bool         `json:"drawn,omitempty"` // from the seed, as the weights do not have it
}

// writeGradient takes the gradient in one number type.
func writeGradient[T deq.Float](ctx context.Context, p *program, f gradientFlags, c train.Config[T], parts train.Parts[T], w train.Weights) error {
	if err := spareInputs(f.out, f.weights, filepath.Join(f.weights, train.CheckpointFile), f.batch); err != nil {
		return err
	}
	data, ignored, err := readBatch(f.batch)
	if err != nil {
		return usage(err)
	}
	p.warnOfArrays(f.batch, ignored, batchArrays)
	model, outputs, err := w.Fit(c.Model.Value, data.Inputs)
	if err != nil {
		return usage(err)
	}
	if err := sameUnits(f.config, c, parts, model); err != nil {
		return usage(fmt.Errorf("%s: %w", quote.Path(f.weights), err))
	}
	var known, others []string
	for _, param := range model.Params(data.Inputs, outputs) {
		known = append(known, param.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Params)) {
		if !slices.Contains(known, name) {
			others = append(others, name)
		}
	}
	p.warnOfArrays(f.weights, others, known)
	c.Model.Value = model
	switch {
	case data.Kind == tasks.Classification:
		data.Outputs = outputs
	case data.Outputs != outputs:
		return usagef("%s: array \"y\": expected targets for the %d outputs of %s, found %d", f.batch, outputs, f.weights, data.Outputs)
	}
	for _, name := range []string{"loss", "z", "outputs"} {
		if _, taken := w.Params[name]; taken {
			return usagef("%s: a parameter is called %q, as what is written beside the gradient", f.weights, name)
		}
	}
	if reach, err := rules.ReachOf(ctx, c.Rule.Value, c.Model.Value); err == nil {
		if w := reach.Warning(c.Rule.Name, c.Model.Name, nil); w != "" {
			p.log.Warn(w)
		}
	}
	g, err := train.GradientAt(ctx, c, parts, w, data)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w; nothing is written", errInterrupted)
	}
	if err != nil {
		return usage(err)
	}
	for _, note := range g.Notes {
		p.log.Warn(note)
	}
	rows := data.Train.N
	shape := func(width int) []int {
		if g.Steps == 0 {
			return []int{rows, width}
		}
		return []int{rows, g.Steps, width}
	}
	report := gradientReport{File: f.out, Model: c.Model.Name, Rule: c.Rule.Name, Precision: c.Train.Precision,
		Loss: train.Number(g.Loss), Batch: rows, Steps: g.Steps, Failed: g.Failed, Residual: train.Number(g.Residual), Solves: []gradientSolve{}, Own: []gradientParameter{}}
	var arrays []npz.Named
	for i, param := range g.Params {
		size := sizeOf(param)
		if size.Fixed = !slices.Contains(g.Trained, i); size.Fixed {
			size.Norm, size.Largest = train.Number(math.NaN()), train.Number(math.NaN())
		} else {
			arrays = append(arrays, npz.Named{Name: param.Name, Shape: param.Shape, Data: param.Data})
		}
		report.Parameters = append(report.Parameters, size)
	}
	for _, w := range g.Effective {
		arrays = append(arrays, npz.Named{Name: "effective/" + w.Name, Shape: w.Shape, Data: w.Data})
	}
	for _, s := range g.Solves {
		report.Solves = append(report.Solves, gradientSolve{Of: s.Of, Failed: s.Failed(), Residual: train.Number(slices.Max(s.Residual)), Evals: slices.Max(s.Report.Evals)})
	}
	arrays = append(arrays, npz.Named{Name: "loss", Data: []float64{g.Loss}},
		npz.Named{Name: "z", Shape: shape(g.Layer.Units), Data: g.Z}, npz.Named{Name: "outputs", Shape: shape(g.Layer.Outputs), Data: g.Outputs})
	for i, own := range g.Own {
		size := sizeOf(g.OwnGrads[i])
		size.Fixed, size.Drawn = len(g.OwnGrads[i].Data) == 0, slices.Contains(g.Drawn, own.Name)
		report.Own = append(report.Own, size)
		arrays = append(arrays, npz.Named{Name: "rule_params/" + own.Name, Shape: own.Shape, Data: own.Data})
		if !size.Fixed {
			arrays = append(arrays, npz.Named{Name: "rule/" + own.Name, Shape: own.Shape, Data: g.OwnGrads[i].Data})
		}
	}
	if err := atomicfile.Write(f.out, func(w io.Writer) error { return npz.Write(w, arrays...) }); err != nil {
		return err
	}
	if err := p.printGradient(report); err != nil || g.Failed == 0 {
		return err
	}
	said := fmt.Sprintf("%d of %d samples did not converge, and the gradient is taken at their best iterates", g.Failed, rows)
	for _, solve := range g.Solves {
		if err := solve.Err(); err != nil {
			said += fmt.Sprintf("; %v", err)
		}
	}
	if c.Train.Unconverged == "accept" {
		p.log.Warn(said)
		return nil
	}
	return fmt.Errorf("%w: %s; or give train.unconverged=accept where that is meant", errCheck, said)
}

func sizeOf[T deq.Float](t deq.Tensor[T]) gradientParameter {
	sum, most := 0.0, 0.0
	for _, v := range t.Data {
		sum, most = sum+float64(v)*float64(v), max(most, math.Abs(float64(v)))
	}
	return gradientParameter{Name: t.Name, Shape: t.Shape, Norm: train.Number(math.Sqrt(sum)), Largest: train.Number(most)}
}

func (p *program) printGradient(r gradientReport) error {
	if p.json {
		return p.printJSON(r)
	}
	fmt.Fprintf(p.stdout, "gradient of %s by %s, %s\n\n", r.Model, r.Rule, r.Precision)
	t := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "parameter\tshape\tnorm\tlargest\t\t")
	for _, g := range r.Parameters {
		if g.Fixed {
			fmt.Fprintf(t, "%s\t%s\t–\t–\tdoes not learn\t\n", g.Name, bracketed(g.Shape))
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%.6g\t%.6g\t\t\n", g.Name, bracketed(g.Shape), float64(g.Norm), float64(g.Largest))
	}
	for _, g := range r.Own {
		norm, most, note := fmt.Sprintf("%.6g", float64(g.Norm)), fmt.Sprintf("%.6g", float64(g.Largest)), ""
		if g.Fixed {
			norm, most, note = "–", "–", "fixed"
		}
		if g.Drawn {
			note = strings.TrimPrefix(note+", drawn from the seed", ", ")
		}
		fmt.Fprintf(t, "rule/%s\t%s\t%s\t%s\t%s\t\n", g.Name, bracketed(g.Shape), norm, most, note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "\nloss %.9g over %d samples; written to %s\n", float64(r.Loss), r.Batch, quote.Path(r.File))
	return err
}

// warnOfArrays says which arrays of a file have no meaning, and which may have been meant.
func (p *program) warnOfArrays(file string, ignored, known []string) {
	if len(ignored) == 0 {
		return
	}
	hint := "; there are " + quote.Bare(known)
	for _, name := range ignored {
		for _, k := range known {
			if strings.EqualFold(name, k) || catalog.Nearest(name, []string{k}) != "" {
				hint = fmt.Sprintf("; %s is called %s here", quote.Name(name), k)
			}
		}
	}
	p.log.Warn("arrays that have no meaning here are ignored"+hint, "file", file, "names", quote.Bare(ignored))
}

// sameUnits reports that the configuration states another number of units than the fitted model has. What it does not state is
// counted in the weights.
func sameUnits[T deq.Float](f configFlags, c train.Config[T], parts train.Parts[T], fitted models.Model) error {
	units := unitsOf(fitted)
	if units == "" || unitsOf(c.Model.Value) == units {
		return nil
	}
	f.sets = append([]string{"model=" + c.Model.Name, "model.units=" + units}, f.sets...)
	stated, err := read(&f, parts, "")
	standard, unknown := parts.Models.Lookup(c.Model.Name)
	if err == nil && unknown == nil && unitsOf(stated.Model.Value) == units && unitsOf(c.Model.Value) == unitsOf(standard.Value) {
		return nil
	}
	return fmt.Errorf("the weights are those of model.units %s, and the configuration says %s: leave it out, units are counted in the weights", units, unitsOf(c.Model.Value))
}

// unitsOf is the option units of a model, empty where it has none.
func unitsOf(m models.Model) string {
	m = options.WithDefaults(m)
	for _, f := range options.Fields(m) {
		if f.Key == "units" {
			return strings.Join(f.Texts(m), "")
		}
	}
	return ""
}
