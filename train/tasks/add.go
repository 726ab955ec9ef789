package tasks

import "attractor/train/kit"

const (
	addDoc = `add: the sum of an input at two times in the past
y(t) = 0.5 + 0.5·x(t - t1) - 0.25·x(t - t2), with x(t) of 0 or 1, each as likely, and 0 before the
trial. X and Y are [trials, steps, 1]. Every step counts. The best constant has a mean squared
error of about 0.078, one who knows x(t - t1) alone 0.016, x(t - t2) alone 0.063.`

	marschallRef = `@article{marschall2020unified,
  author  = {Marschall, Owen and Cho, Kyunghyun and Savin, Cristina},
  title   = {A Unified Framework of Online Learning Algorithms for Training Recurrent Neural Networks},
  journal = {Journal of Machine Learning Research},
  volume  = {21},
  number  = {135},
  pages   = {1--34},
  year    = {2020}
}`
)

// Add is the task of adding the input of two times; see its entry in [Catalog].
type Add struct {
	kit.Zeros
	T1         int `default:"6" doc:"steps since the input that has the weight 0.5" max:"1e6: no trial has more steps"`
	T2         int `default:"10" doc:"steps since the input that has the weight -0.25" max:"1e6: no trial has more steps"`
	Steps      int `default:"100" doc:"steps of a trial, more than t1 and t2" max:"1e6: every state of a trial is kept"`
	Trials     int `default:"6400" doc:"trials to train on" max:"1e8: all trials are made before training"`
	TestTrials int `default:"1000" doc:"trials to test on" max:"1e8: all trials are made before training"`
}

// Sequential implements Sequential.
func (Add) Sequential() {}

// Load draws the trials.
func (o Add) Load(seed uint64) (*Dataset, error) {
	const name = "add"
	o = kit.WithDefaults(o)
	if err := checkSizes(name, 1, AtLeast{"t1", o.T1, 0}, AtLeast{"t2", o.T2, 0}, AtLeast{"steps", o.Steps, 1 + max(o.T1, o.T2)}); err != nil {
		return nil, err
	}
	return trials{name: name, kind: Regression, inputs: 1, outputs: 1, steps: o.Steps, train: o.Trials, test: o.TestTrials, draw: func(t *trial) {
		for i := range t.x {
			t.x[i] = float64(t.IntN(2))
			t.y[i] = 0.5
			if i >= o.T1 {
				t.y[i] += 0.5 * t.x[i-o.T1]
			}
			if i >= o.T2 {
				t.y[i] -= 0.25 * t.x[i-o.T2]
			}
		}
	}}.load(seed)
}
