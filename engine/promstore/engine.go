package promstore

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// Engine is PromQL's engine, which tells Queryables that it is the one who asks. Hints mean more from it than from
// others: a selector without a range in a query without steps is evaluated once, at the end of its range, and of each
// series nothing is looked at but the last sample. A client of remote read that gives no hints asks with the same
// words for everything.
type Engine struct{ *promql.Engine }

// NewInstantQuery implements promql.QueryEngine.
func (e Engine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	own, ok := q.(interface{ forPromQL() *Queryable })
	if !ok {
		return e.Engine.NewInstantQuery(ctx, q, opts, qs, ts)
	}
	marked := own.forPromQL()
	query, err := e.Engine.NewInstantQuery(ctx, marked, opts, qs, ts)
	marked.query = query
	return query, err
}

func (q *Queryable) forPromQL() *Queryable { return &Queryable{src: q.src} }

// looksAhead reports whether a query has a selector that looks at samples after the moment of evaluation too.
func looksAhead(q promql.Query) (ahead bool) {
	stmt, ok := q.Statement().(*parser.EvalStmt)
	if !ok {
		return true
	}
	parser.Inspect(stmt.Expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok && v.Smoothed {
			ahead = true
		}
		return nil
	})
	return ahead
}
