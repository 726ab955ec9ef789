package bench

import (
	"context"

	"attractor/deq"
	"attractor/internal/kernels"
	"attractor/models"
	"attractor/train/losses"
	"attractor/train/rules"
)

// sequenceSteps is the length T of the sequences.
const sequenceSteps = 100

// sequenceRules are the rules through time that are measured, with whether credit goes from unit to unit.
var sequenceRules = []struct {
	name string
	rule rules.TemporalRule[float32]
	far  bool
}{
	{"bptt", rules.BPTT[float32]{}, true},
	{"e-prop", rules.EProp[float32]{}, false},
	{"rflo", rules.RFLO[float32]{}, false},
	{"snap-1", rules.SnAp1[float32]{}, false},
	{"rflo-forwards", rules.RFLO[float32]{Tracing: forwards}, false},
	{"snap-1-forwards", rules.SnAp1[float32]{Tracing: forwards}, false},
}

// forwards is the way of eligibility traces in a brain, one for every synapse.
var forwards = rules.Tracing{Traces: "forwards"}

// sequence is an update through time on fixed data, without the optimiser: a leaky network in the form v over
// inputs that change at every step, its readout with a mean squared error at every step, and all
// gradients.
type sequence struct {
	layer  *deq.Layer[float32]
	rule   rules.TemporalRule[float32]
	own    rules.Own[float32]
	grads  deq.Params[float32]
	x      []float32 // [steps, batch, inputs]
	target []float32 // [steps·batch, outputs]
	batch  int
	bytes  int // of the rule's own memory
	passed *deq.Trajectory[float32]
}

func newSequence(s Shape, rule rules.TemporalRule[float32], engine string) (*sequence, error) {
	model := models.Rate{N: s.Units, Gain: 0.9, InputGain: 0.5, Leak: 0.1, Form: "v"}
	layer, err := deq.New[float32](model, inputs, outputs, seed, deq.Config{Batch: s.Batch, Workers: 1, Engine: engine})
	if err != nil {
		return nil, err
	}
	return &sequence{
		layer: layer, rule: rule, own: rules.NewOwn(rule, layer, seed, nil), grads: layer.Params.ZerosLike(), batch: s.Batch,
		x: normal("x", sequenceSteps*s.Batch*inputs), target: normal("target", sequenceSteps*s.Batch*outputs),
	}, nil
}

// Eval implements deq.Loss. One shard holds the batch, so that rows follow one another.
func (q *sequence) Eval(rows []int, y, dy []float32, losses_ []float64) error {
	target := losses.Target[float32]{Y: q.target[rows[0]*outputs : (rows[0]+len(rows))*outputs]}
	return losses.MeanSquared[float32]{}.Eval(y, outputs, target, losses_, dy)
}

// forward steps the cell over the inputs.
func (q *sequence) forward(once bool) (*deq.Trajectory[float32], error) {
	tr, err := q.layer.Run(context.Background(), deq.Sequence[float32]{Rows: q.batch, Steps: sequenceSteps, X: q.x, Once: once, Reuse: q.passed})
	q.passed = tr
	return tr, err
}

// read is a forward pass: it steps the cell over the inputs and reads every state out.
func (q *sequence) read() error {
	tr, err := q.forward(true)
	if err != nil {
		return err
	}
	y := make([]float32, q.batch*outputs)
	for _, z := range tr.Z[1:] {
		if err := q.layer.Read(z, y); err != nil {
			return err
		}
	}
	return nil
}

// update does everything.
func (q *sequence) update() error {
	ctx := context.Background()
	q.grads.Clear()
	tr, err := q.forward(false)
	if err != nil {
		return err
	}
	outs, err := tr.Evaluate(ctx, q, nil, q.grads)
	if err != nil {
		return err
	}
	report, err := q.rule.Gradient(ctx, rules.Passage[float32]{Trajectory: tr, Outputs: outs, Loss: q, Own: q.own}, q.grads)
	q.bytes = report.Bytes
	return err
}

// sequenceWork is an update by a rule. Its bare products are those of the cell, of the readout and of the
// gradients, and, where credit goes from unit to unit, of the way back.
func sequenceWork(s Shape, rule rules.TemporalRule[float32], far bool) (*work, error) {
	q, err := newSequence(s, rule, "")
	if err != nil {
		return nil, err
	}
	reader, err := newSequence(s, rule, "")
	if err != nil {
		return nil, err
	}
	return &work{
		ours:    q.update,
		bytes:   &q.bytes,
		forward: reader.read,
		gemm:    sequenceProducts(q.layer.Params, s, far),
		out:     func() []float32 { return flat(q.grads) },
		tape: func() (func() error, func() []float32, error) {
			q, err := newSequence(s, rule, "tape")
			if err != nil {
				return nil, nil, err
			}
			return q.update, func() []float32 { return flat(q.grads) }, q.update()
		},
	}, nil
}

// sequenceProducts has the matrix products of an update: step by step where one waits for the other, the
// gradients of all steps at once.
func sequenceProducts(params deq.Params[float32], s Shape, far bool) func() error {
	forward, backward := products(params, s, true), products(params, s, false)
	var in, out kernels.Packed[float32]
	in.Pack(true, inputs, s.Units, params.Data("U"), inputs)
	out.Pack(true, s.Units, outputs, params.Data("Wo"), s.Units)
	var back kernels.Packed[float32]
	back.Pack(false, outputs, s.Units, params.Data("Wo"), s.Units)
	z, x := normal("z", s.Batch*s.Units), normal("x", s.Batch*inputs)
	drive, y, dz := make([]float32, s.Batch*s.Units), make([]float32, s.Batch*outputs), make([]float32, s.Batch*s.Units)
	all := sequenceSteps * s.Batch
	u, zs, xs, dys := normal("us", all*s.Units), normal("zs", all*s.Units), normal("xs", all*inputs), normal("dys", all*outputs)
	dw, du, dwo := make([]float32, s.Units*s.Units), make([]float32, s.Units*inputs), make([]float32, outputs*s.Units)
	return func() error {
		for range sequenceSteps {
			kernels.GemmPacked(s.Batch, x, inputs, &in, 0, drive, s.Units, nil)
			_ = forward()
			kernels.GemmPacked(s.Batch, z, s.Units, &out, 0, y, outputs, nil)
		}
		for range sequenceSteps {
			kernels.GemmPacked(s.Batch, y, outputs, &back, 0, dz, s.Units, nil)
			if far {
				_ = backward()
			}
		}
		kernels.Gemm(true, false, s.Units, s.Units, all, u, s.Units, zs, s.Units, 0, dw, s.Units)
		kernels.Gemm(true, false, s.Units, inputs, all, u, s.Units, xs, inputs, 0, du, inputs)
		kernels.Gemm(true, false, outputs, s.Units, all, dys, outputs, zs, s.Units, 0, dwo, s.Units)
		return nil
	}
}
