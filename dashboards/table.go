package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// column is a column of a table: field is its name in the query result, title the displayed name.
type column struct {
	field, title string
	unit         string
	mappings     []dashboard.ValueMapping
	colors       steps // of the text; none is the color of all text
	links        []map[string]any
	width        int
}

// records returns a table of exactly the given columns in their order. The values of queries are the fields
// "Value #A", "Value #B"…; values with the same labels share a row.
func records(a about, sortBy string, descending bool, cols []column, queries ...query) *table.PanelBuilder {
	b := show(table.NewPanelBuilder(), a, queries...).
		ShowHeader(true).Footer(noFooter()).
		SortBy([]cog.Builder[common.TableSortByFieldState]{
			common.NewTableSortByFieldStateBuilder().DisplayName(sortBy).Desc(descending),
		})
	if len(queries) > 1 {
		b.WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}})
	}
	b.WithTransformation(only(cols)).WithTransformation(arranged(cols))
	for _, c := range cols {
		b.OverrideByName(c.title, c.properties())
	}
	return b
}

// noFooter returns the default footer, which some versions expect to be present.
func noFooter() *common.TableFooterOptionsBuilder {
	return common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"})
}

// only removes fields that are not columns, such as labels that a Prometheus adds.
func only(cols []column) dashboard.DataTransformerConfig {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = c.field
	}
	return dashboard.DataTransformerConfig{Id: "filterFieldsByName", Options: map[string]any{
		"include": map[string]any{"names": names},
	}}
}

func arranged(cols []column) dashboard.DataTransformerConfig {
	index, titles := map[string]int{}, map[string]string{}
	for i, c := range cols {
		index[c.field], titles[c.field] = i, c.title
	}
	return dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
		"excludeByName": map[string]bool{}, "indexByName": index, "renameByName": titles,
	}}
}

func (c column) properties() []dashboard.DynamicConfigValue {
	// With the default width ten columns need two screens.
	list := []dashboard.DynamicConfigValue{property("custom.minWidth", 80), property("noValue", "–")}
	if c.unit != "" {
		list = append(list, property("unit", c.unit))
	}
	if !strings.HasPrefix(c.field, "Value") {
		list = append(list, property("custom.align", "left"))
	}
	if c.mappings != nil {
		list = append(list, property("mappings", c.mappings))
	}
	if c.colors != nil {
		t, _ := c.colors.thresholds().Build() // fails for no thresholds
		list = append(list, property("thresholds", t))
	}
	if c.colors != nil || c.mappings != nil && c.links == nil {
		// Grafana 9.4 calls it so; newer ones turn it into cell options.
		list = append(list, property("custom.displayMode", "color-text"))
	}
	if c.links != nil {
		list = append(list, property("links", c.links))
	}
	if c.width > 0 {
		list = append(list, property("custom.width", c.width))
	}
	return list
}
