package engine

// Movements copy elements from one place to another: each is [outer, …, inner] → [outer, …, inner]
// around one axis, of which a run on a part of the rows does the first indices of outer.

func (p *program[T]) emitRepeat(v *value) {
	from, to := source(v.args[0]), v.memory
	outer := p.rowsOf(v.rows, v.outer)
	p.append(v.rate, func(rows int) error {
		src, dst := p.memory[from], p.memory[to]
		for i := range outer(rows) {
			element := src[i*v.inner : (i+1)*v.inner]
			for c := range v.count {
				copy(dst[(i*v.count+c)*v.inner:], element)
			}
		}
		return nil
	})
}

// emitSlice copies a part of an axis out of an array, or into an array of zeros.
func (p *program[T]) emitSlice(v *value) {
	from, to := source(v.args[0]), v.memory
	outer := p.rowsOf(v.rows, v.outer)
	length := sliceLength(v.op)
	scatter := v.op.kind == scatterKind
	p.append(v.rate, func(rows int) error {
		src, dst := p.memory[from], p.memory[to]
		if scatter {
			clear(dst[:outer(rows)*v.count*v.inner])
		}
		for i := range outer(rows) {
			for c := range length {
				whole, part := (i*v.count+v.op.start+c*v.op.step)*v.inner, (i*length+c)*v.inner
				if scatter {
					copy(dst[whole:whole+v.inner], src[part:])
				} else {
					copy(dst[part:part+v.inner], src[whole:])
				}
			}
		}
		return nil
	})
}

func (p *program[T]) emitConcat(v *value) {
	type piece struct{ memory, width, at int }
	var pieces []piece
	at := 0
	for _, a := range v.args {
		width := a.size / v.outer
		pieces = append(pieces, piece{source(a), width, at})
		at += width
	}
	to, outer := v.memory, p.rowsOf(v.rows, v.outer)
	p.append(v.rate, func(rows int) error {
		dst := p.memory[to]
		for _, c := range pieces {
			src := p.memory[c.memory]
			for i := range outer(rows) {
				copy(dst[i*at+c.at:i*at+c.at+c.width], src[i*c.width:])
			}
		}
		return nil
	})
}

func (p *program[T]) emitTranspose(v *value) {
	from, to := source(v.args[0]), v.memory
	shape, axes := v.args[0].shape, v.op.axes
	strides := make([]int, len(shape)) // of the source, in the order of the result's axes
	for i, a := range axes {
		strides[i] = volume(shape[a+1:])
	}
	counts := make([]int, len(shape))
	for i, a := range axes {
		counts[i] = shape[a]
	}
	leading := p.rowsOf(v.rows, counts[0])
	index := make([]int, len(shape))
	last := len(shape) - 1
	p.append(v.rate, func(rows int) error {
		src, dst := p.memory[from], p.memory[to]
		clear(index)
		total := leading(rows) * (v.size / counts[0])
		at := 0
		for i := 0; i < total; {
			for q := range counts[last] {
				dst[i+q] = src[at+q*strides[last]]
			}
			i += counts[last]
			for d := last - 1; d >= 0; d-- {
				at += strides[d]
				if index[d]++; index[d] < counts[d] {
					break
				}
				at -= strides[d] * counts[d]
				index[d] = 0
			}
		}
		return nil
	})
}
