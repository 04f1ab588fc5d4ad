package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
)

// tempoQuery is a TraceQL search. Grafana 9.4 ignores the table type.
type tempoQuery struct {
	RefID      string               `json:"refId"`
	Datasource common.DataSourceRef `json:"datasource"`
	QueryType  string               `json:"queryType"`
	Query      string               `json:"query"`
	Limit      int                  `json:"limit"`
	TableType  string               `json:"tableType"`
	Filters    []any                `json:"filters"`
}

// jaegerQuery is a search by tags. The foundation SDK has no type for it.
type jaegerQuery struct {
	RefID      string               `json:"refId"`
	Datasource common.DataSourceRef `json:"datasource"`
	QueryType  string               `json:"queryType"`
	Service    string               `json:"service"`
	Tags       string               `json:"tags,omitempty"`
	Limit      int                  `json:"limit"`
}

func (tempoQuery) ImplementsDataqueryVariant()     {}
func (tempoQuery) DataqueryType() string           { return "tempo" }
func (tempoQuery) Validate() error                 { return nil }
func (tempoQuery) Equals(variants.Dataquery) bool  { return false }
func (jaegerQuery) ImplementsDataqueryVariant()    {}
func (jaegerQuery) DataqueryType() string          { return "jaeger" }
func (jaegerQuery) Validate() error                { return nil }
func (jaegerQuery) Equals(variants.Dataquery) bool { return false }

// built implements the builder interface with a finished query.
type built struct{ variants.Dataquery }

func (b built) Build() (variants.Dataquery, error) { return b.Dataquery, nil }

func traceQuery(q variants.Dataquery) cog.Builder[variants.Dataquery] { return built{q} }
