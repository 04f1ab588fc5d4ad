package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
)

// tempoQuery is a search by TraceQL. Grafana 9.4 does not know the table type, and ignores it.
type tempoQuery struct {
	RefID      string               `json:"refId"`
	Datasource common.DataSourceRef `json:"datasource"`
	QueryType  string               `json:"queryType"`
	Query      string               `json:"query"`
	Limit      int                  `json:"limit"`
	TableType  string               `json:"tableType"`
	Filters    []any                `json:"filters"`
}

// jaegerQuery is a search by tags, for which the foundation SDK has no type.
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

// built is a query that needs no builder.
type built struct{ variants.Dataquery }

func (b built) Build() (variants.Dataquery, error) { return b.Dataquery, nil }

func traceQuery(q variants.Dataquery) cog.Builder[variants.Dataquery] { return built{q} }
