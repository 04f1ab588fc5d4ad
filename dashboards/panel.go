package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/text"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

type panel = cog.Builder[dashboard.Panel]

// builder has the methods that the builders of all panel types share.
type builder[B any] interface {
	Title(string) B
	Description(string) B
	Unit(string) B
	Datasource(common.DataSourceRef) B
	Targets([]cog.Builder[variants.Dataquery]) B
	Span(uint32) B
	Height(uint32) B
}

// about has the texts of a panel, its unit, and its size in columns and lines of the grid.
type about struct {
	title, description string
	unit               string
	w, h               uint32
}

// show sets texts, size and queries of a panel. The queries get the reference ids A, B, C…
func show[B builder[B]](b B, a about, queries ...query) B {
	targets := make([]cog.Builder[variants.Dataquery], len(queries))
	for i, q := range queries {
		targets[i] = q.RefId(string(rune('A' + i)))
	}
	return b.Title(a.title).Description(a.description).Unit(a.unit).
		Datasource(metrics).Targets(targets).Span(a.w).Height(a.h)
}

// lines returns a panel of time series that do not add up.
func lines(a about, queries ...query) *timeseries.PanelBuilder {
	return graph(a, queries...).Min(0)
}

// graph returns lines whose axis can begin below 0.
func graph(a about, queries ...query) *timeseries.PanelBuilder {
	return show(timeseries.NewPanelBuilder(), a, queries...).
		LineWidth(1).FillOpacity(8).ShowPoints(common.VisibilityModeNever).
		Legend(valueLegend()).Tooltip(allSeries()).ColorScheme(palette())
}

// stacks returns a panel of time series that add up to a whole. It draws areas without lines, because the line of a
// series that is 0 would cover the others.
func stacks(a about, queries ...query) *timeseries.PanelBuilder {
	return lines(a, queries...).FillOpacity(60).LineWidth(0).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
}

// bars returns stacks for rare events, which newSince counts: a bar covers at least a minute.
func bars(a about, queries ...query) *timeseries.PanelBuilder {
	return stacks(a, queries...).DrawStyle(common.GraphDrawStyleBars).FillOpacity(80).Interval("1m").
		Legend(valueLegend("sum")).Decimals(0)
}

// valueLegend returns a table of the series with values: by default the last, the mean and the highest.
func valueLegend(calcs ...string) *common.VizLegendOptionsBuilder {
	if len(calcs) == 0 {
		calcs = []string{"lastNotNull", "mean", "max"}
	}
	return common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeTable).
		Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs(calcs)
}

func allSeries() *common.VizTooltipOptionsBuilder {
	return common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)
}

// number returns a panel of one value, colored by the steps. A click on it leads to its detail.
func number(a about, s steps, detail []cog.Builder[dashboard.DashboardLink], queries ...query) *stat.PanelBuilder {
	return show(stat.NewPanelBuilder(), a, queries...).Thresholds(s.thresholds()).DataLinks(detail).
		ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).
		TextMode(common.BigValueTextModeValue).JustifyMode(common.BigValueJustifyModeAuto).
		ReduceOptions(last())
}

// ranking returns a panel with a bar for each series. Grafana reserves the width of the name with the most letters. The
// small title size keeps names with fewer but wider letters from being cut.
func ranking(a about, color string, queries ...query) *bargauge.PanelBuilder {
	return show(bargauge.NewPanelBuilder(), a, queries...).Min(0).
		Orientation(common.VizOrientationHorizontal).DisplayMode(common.BarGaugeDisplayModeBasic).
		ShowUnfilled(false).ReduceOptions(last()).
		Text(common.NewVizTextDisplayOptionsBuilder().TitleSize(10).ValueSize(14)).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdFixed).FixedColor(color))
}

func last() *common.ReduceDataOptionsBuilder {
	return common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}).Fields("").Values(false)
}

// states returns a panel with a colored band for each series. Mappings give values their names and colors.
func states(a about, mappings []dashboard.ValueMapping, queries ...query) *statetimeline.PanelBuilder {
	return show(statetimeline.NewPanelBuilder(), a, queries...).Mappings(mappings).
		ShowValue(common.VisibilityModeNever).MergeValues(true).FillOpacity(80).LineWidth(0).RowHeight(0.8).
		AlignValue(common.TimelineValueAlignmentLeft).Tooltip(allSeries()).
		Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).
			Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{})).
		// With a palette the legend has the names and colors of the mappings, and not the thresholds.
		ColorScheme(palette())
}

// density returns a heatmap of a histogram over time, with exemplars if the query asks for them.
func density(a about, scheme string, q query) *heatmap.PanelBuilder {
	return show(heatmap.NewPanelBuilder(), a, q).
		Calculate(false).CellGap(1).ShowLegend().ShowValue(common.VisibilityModeNever).
		ExemplarsColor("rgba(255,0,255,0.5)").
		FilterValues(heatmap.NewFilterValueRangeBuilder().Le(1e-9)).
		CellValues(heatmap.NewCellValuesBuilder().Unit("short").Decimals(0)).
		RowsFrame(heatmap.NewRowsHeatmapOptionsBuilder().Layout(common.HeatmapCellLayoutAuto)).
		YAxis(bucketAxis(a.unit)).
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeScheme).Scheme(scheme).
			Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.5).Steps(64).Fill("dark-orange"))
}

func bucketAxis(unit string) *heatmap.YAxisConfigBuilder {
	return heatmap.NewYAxisConfigBuilder().AxisPlacement(common.AxisPlacementLeft).Unit(unit)
}

// note returns a panel with text.
func note(a about, markdown string) *text.PanelBuilder {
	return text.NewPanelBuilder().Title(a.title).Description(a.description).Span(a.w).Height(a.h).
		Mode(text.TextModeMarkdown).Content(markdown)
}
