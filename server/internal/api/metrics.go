package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/zkllmc/zkllmc/internal/portable"
	"github.com/zkllmc/zkllmc/server/internal/jobs"
)

// metrics are what Prometheus reads. Labels are names of routes, models and states, never what somebody sends.
type metrics struct {
	http.Handler
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	proofs   *prometheus.CounterVec
	proving  *prometheus.HistogramVec
	tokens   prometheus.Counter

	mu   sync.Mutex
	mean float64 // seconds of the last proofs
}

func newMetrics(h *Handler) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zkllmc_requests_total", Help: "Requests by route and status."}, []string{"route", "status"}),
		seconds:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "zkllmc_request_seconds", Help: "How long requests took.", Buckets: prometheus.ExponentialBuckets(0.005, 3, 11)}, []string{"route"}),
		proofs:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "zkllmc_proofs_total", Help: "Proofs that ended, by model and state."}, []string{"model", "state"}),
		proving:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "zkllmc_proof_seconds", Help: "How long making a proof took.", Buckets: prometheus.ExponentialBuckets(0.1, 3, 11)}, []string{"model"}),
		tokens:   prometheus.NewCounter(prometheus.CounterOpts{Name: "zkllmc_answer_tokens_total", Help: "Tokens of answers."}),
	}
	r := prometheus.NewRegistry()
	r.MustRegister(m.requests, m.seconds, m.proofs, m.proving, m.tokens, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zkllmc_proofs_waiting", Help: "Proofs that are promised and not finished."}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			n, err := h.o.Store.Waiting(ctx)
			if err != nil {
				return math.NaN()
			}
			return float64(n)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zkllmc_proofs_limit", Help: "Proofs that may wait."}, func() float64 { return float64(h.o.Limit) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "zkllmc_requests_running", Help: "Requests that are read or answered."}, func() float64 { return float64(len(h.places)) }),
	)
	m.Handler = promhttp.HandlerFor(r, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) answered(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// changed counts proofs that ended.
func (m *metrics) changed(r *jobs.Record) {
	if !r.State.Final() {
		return
	}
	m.proofs.WithLabelValues(r.Model, string(r.State)).Inc()
	if r.State == jobs.Done && r.Result != nil {
		m.proving.WithLabelValues(r.Model).Observe(r.Result.Seconds)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.mean == 0 {
			m.mean = r.Result.Seconds
		}
		m.mean += float64(0.2 * (r.Result.Seconds - m.mean))
	}
}

// patience is in how many seconds a proof may have left the queue.
func (m *metrics) patience() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	seconds, _ := portable.Int64(math.Ceil(min(max(m.mean, 1), 600)))
	return int(seconds)
}
