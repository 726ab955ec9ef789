package ops

import (
	"fmt"
	"math"

	"attractor/internal/kernels"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Do implements gorgonia.Op.
func (o Op) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	if len(values) != o.Arity() {
		return nil, fmt.Errorf("ops: %v of %d values: expected %d", o, len(values), o.Arity())
	}
	switch dt := values[0].Dtype(); dt {
	case tensor.Float32:
		return do[float32](o, values)
	case tensor.Float64:
		return do[float64](o, values)
	default:
		return nil, fmt.Errorf("ops: %v of %v: expected float32 or float64", o, dt)
	}
}

// matrix is an operand, row by row.
type matrix[T kernels.Float] struct {
	rows, columns int
	data          []T
}

func (m matrix[T]) row(i int) []T { return m.data[i*m.columns : (i+1)*m.columns] }

func read[T kernels.Float](v gorgonia.Value) (matrix[T], error) {
	d, ok := v.(*tensor.Dense)
	if !ok || d.Dims() != 2 {
		return matrix[T]{}, fmt.Errorf("ops: value of %T and shape %v: expected a matrix", v, v.Shape())
	}
	if d.RequiresIterator() {
		if d, ok = tensor.Materialize(d).(*tensor.Dense); !ok {
			return matrix[T]{}, fmt.Errorf("ops: a view of shape %v cannot be copied", v.Shape())
		}
	}
	data, ok := d.Data().([]T)
	if !ok {
		one, isOne := d.Data().(T)
		if !isOne {
			return matrix[T]{}, fmt.Errorf("ops: operands of different number types")
		}
		data = []T{one}
	}
	s := d.Shape()
	return matrix[T]{rows: s[0], columns: s[1], data: data[:s[0]*s[1]]}, nil
}

func do[T kernels.Float](o Op, values []gorgonia.Value) (gorgonia.Value, error) {
	in := make([]matrix[T], len(values))
	sizes := make([]gorgonia.DimSizer, len(values))
	for i, v := range values {
		var err error
		if in[i], err = read[T](v); err != nil {
			return nil, err
		}
		sizes[i] = tensor.Shape{in[i].rows, in[i].columns}
	}
	shape, err := o.InferShape(sizes...)
	if err != nil {
		return nil, err
	}
	out := matrix[T]{rows: shape[0], columns: shape[1], data: make([]T, shape[0]*shape[1])}
	compute(o, out, in)
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(out.data)), nil
}

// compute writes the result to out, which is zero.
func compute[T kernels.Float](o Op, out matrix[T], in []matrix[T]) {
	x := in[0]
	switch o.Kind {
	case Slice:
		for i := range out.rows {
			copy(out.row(i), x.row(i)[o.Lo:o.Hi])
		}
	case Pad:
		for i := range out.rows {
			copy(out.row(i)[o.Lo:o.Hi], x.row(i))
		}
	case Concat:
		for i := range out.rows {
			row := out.row(i)
			for _, part := range in {
				row = row[copy(row, part.row(i)):]
			}
		}
	case Sum:
		if o.Axis == 1 {
			kernels.RowSums(out.data, x.rows, x.columns, x.data, x.columns)
		} else {
			kernels.ColSums(out.data, x.rows, x.columns, x.data, x.columns)
		}
	case Repeat:
		for i := range out.rows {
			if o.Axis == 1 {
				kernels.Fill(out.row(i), x.data[i])
			} else {
				copy(out.row(i), x.data)
			}
		}
	case SoftMax, LogSoftMax:
		for i := range out.rows {
			softMax(out.row(i), x.row(i), o.Kind == LogSoftMax)
		}
	case Norm2, Norm2Grad:
		top := NewTop(x.rows, x.columns, Tolerance[T]())
		top.SolveOnce(widen(x.data))
		if o.Kind == Norm2 {
			out.data[0] = T(top.Sigma)
			return
		}
		for i := range out.rows {
			for j := range out.columns {
				out.data[i*out.columns+j] = T(top.U[i] * top.V[j])
			}
		}
	case Norm2Hessian:
		for i, v := range hessian(x.rows, x.columns, widen(x.data), widen(in[1].data)) {
			out.data[i] = T(v)
		}
	}
}

// softMax is computed in float64, from differences to the largest entry.
func softMax[T kernels.Float](dst, x []T, logarithm bool) {
	largest := math.Inf(-1)
	for _, v := range x {
		largest = max(largest, float64(v))
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - largest)
	}
	for i, v := range x {
		d := float64(v) - largest
		if logarithm {
			dst[i] = T(d - math.Log(sum))
		} else {
			dst[i] = T(math.Exp(d) / sum)
		}
	}
}

func widen[T kernels.Float](x []T) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}
