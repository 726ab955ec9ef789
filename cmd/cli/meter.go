package cli

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// meter shows how far a command has come: a bar on a terminal, otherwise lines in the log.
type meter struct {
	p    *program
	bars *mpb.Progress // nil without a terminal
	bar  *mpb.Bar
	text atomic.Pointer[string]
}

// meter begins to show the work of a command.
func (p *program) meter(name string) *meter {
	m := &meter{p: p}
	none := ""
	m.text.Store(&none)
	if p.quiet || !isTerminal(p.stderr) {
		return m
	}
	m.bars = mpb.New(mpb.WithOutput(p.stderr), mpb.WithWidth(40), mpb.WithRefreshRate(150*time.Millisecond))
	m.bar = m.bars.AddBar(0, // a bar without a total does not end by itself
		mpb.PrependDecorators(decor.Name(name), decor.Percentage(decor.WC{W: 6})),
		mpb.AppendDecorators(
			decor.Elapsed(decor.ET_STYLE_GO),
			decor.Any(func(decor.Statistics) string { return "  " + *m.text.Load() }),
		),
	)
	return m
}

// at says how far the work has come, of how much.
func (m *meter) at(done, total int) {
	if m.bar == nil {
		return
	}
	m.bar.SetTotal(int64(total), false)
	m.bar.SetCurrent(int64(done))
}

// say shows a message in a line of the log.
func (m *meter) say(msg string, attrs ...any) {
	if m.bar == nil {
		m.p.log.Info(msg, attrs...)
	}
}

// warn shows a warning, above the bar or in the log.
func (m *meter) warn(msg string) {
	if m.bar == nil {
		m.p.log.Warn(msg)
		return
	}
	fmt.Fprintf(m.bars, "warning: %s\n", msg)
}

// note shows a short text beside the bar.
func (m *meter) note(text string) { m.text.Store(&text) }

// end leaves the bar as it is.
func (m *meter) end() {
	if m.bar == nil {
		return
	}
	m.bar.Abort(false)
	m.bars.Wait()
}
