package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/zkllmc/zkllmc/internal/portable"
)

// Bar is the last line of a terminal, which tells how far long work is: its name, a bar with its percentage as soon as that is known, and some
// words. What is written through the Bar meanwhile stands above. A nil Bar shows nothing. It is safe for concurrent use.
type Bar struct {
	w io.Writer

	mu   sync.Mutex
	all  *mpb.Progress // nil while nothing is shown
	line *mpb.Bar

	words sync.Mutex // of the drawing goroutine, which must not wait for mu
	said  string
}

// NewBar returns the bar of a terminal, or nil if the stream is none.
func NewBar(stream any) *Bar {
	if w, ok := stream.(io.Writer); ok && Is(stream) {
		return &Bar{w: w}
	}
	return nil
}

// What a line takes, in characters: its name, at least, and the bar. The parts of which a bar is full are fine enough for one.
const (
	nameWidth = 16
	barWidth  = 24
	full      = 1000
)

// filler draws a bar, or something that turns where nobody knows how far the work is.
type filler struct{ bar, turning mpb.BarFiller }

// Build implements mpb.BarFillerBuilder.
func (f filler) Build() mpb.BarFiller { return f }

// Fill implements mpb.BarFiller.
func (f filler) Fill(w io.Writer, s decor.Statistics) error {
	if s.Total > 0 {
		s.RequestedWidth = barWidth
		return f.bar.Fill(w, s)
	}
	s.RequestedWidth = 1
	return f.turning.Fill(w, s)
}

// Begin shows the line of other work.
func (b *Bar) Begin(name string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
	b.say("")
	b.all = mpb.New(mpb.WithOutput(b.w), mpb.WithAutoRefresh(), mpb.WithRefreshRate(200*time.Millisecond))
	percent := decor.Any(func(s decor.Statistics) string {
		if s.Total > 0 {
			return fmt.Sprintf("%3d %%", 100*s.Current/s.Total)
		}
		return ""
	})
	words := decor.Any(func(decor.Statistics) string {
		b.words.Lock()
		defer b.words.Unlock()
		return b.said
	})
	b.line = b.all.New(0, filler{mpb.BarStyle().Build(), mpb.SpinnerStyle("|", "/", "-", `\`).PositionLeft().Build()},
		mpb.PrependDecorators(decor.Name(name, decor.WC{W: nameWidth, C: decor.DindentRight})), mpb.AppendDecorators(percent, words))
}

// Show tells how far the running work is, a share below 0 if nobody knows, and the words behind that.
func (b *Bar) Show(share float64, words string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		return
	}
	if words != "" {
		words = "  " + words
	}
	b.say(words)
	if share >= 0 {
		b.line.SetTotal(full, false)
		b.line.SetCurrent(min(portable.Clamp(float64(full*share)), full-1)) // a full one would end
	}
}

func (b *Bar) say(words string) {
	b.words.Lock()
	defer b.words.Unlock()
	b.said = words
}

// End removes the line.
func (b *Bar) End() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end()
}

// end is End with mu held.
func (b *Bar) end() {
	if b.all != nil {
		b.line.Abort(true)
		b.all.Wait()
		b.all, b.line = nil, nil
	}
}

// Above returns the stream of the bar for what is written meanwhile, line by line.
func (b *Bar) Above(stream io.Writer) io.Writer {
	if b == nil {
		return stream
	}
	return above{b, stream}
}

type above struct {
	b  *Bar
	to io.Writer
}

func (a above) Write(p []byte) (int, error) {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	if a.b.all != nil {
		return a.b.all.Write(p)
	}
	return a.to.Write(p)
}

// Before returns a stream that may be the same terminal: the line is removed before something is written to it.
func (b *Bar) Before(stream io.Writer) io.Writer {
	if b == nil {
		return stream
	}
	return before{b, stream}
}

type before struct {
	b  *Bar
	to io.Writer
}

func (s before) Write(p []byte) (int, error) {
	s.b.End()
	return s.to.Write(p)
}
