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

// builder is what the builders of all kinds of panels have in common.
type builder[B any] interface {
	Title(string) B
	Description(string) B
	Unit(string) B
	Datasource(common.DataSourceRef) B
	Targets([]cog.Builder[variants.Dataquery]) B
	Span(uint32) B
	Height(uint32) B
}

// about is what every panel says of itself, and its size in columns and lines of the grid.
type about struct {
	title, description string
	unit               string
	w, h               uint32
}

// show starts a panel over queries, which are A, B, C… in it.
func show[B builder[B]](b B, a about, queries ...query) B {
	targets := make([]cog.Builder[variants.Dataquery], len(queries))
	for i, q := range queries {
		targets[i] = q.RefId(string(rune('A' + i)))
	}
	return b.Title(a.title).Description(a.description).Unit(a.unit).
		Datasource(metrics).Targets(targets).Span(a.w).Height(a.h)
}

// lines are values over time that do not add up.
func lines(a about, queries ...query) *timeseries.PanelBuilder {
	return show(timeseries.NewPanelBuilder(), a, queries...).
		Min(0).LineWidth(1).FillOpacity(8).ShowPoints(common.VisibilityModeNever).
		Legend(bottomLegend()).Tooltip(allSeries()).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic))
}

// stacks are values over time that add up to a whole. They have no lines: that of a series which is 0
// would lie on top of all others, a red one too.
func stacks(a about, queries ...query) *timeseries.PanelBuilder {
	return lines(a, queries...).FillOpacity(60).LineWidth(0).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
}

// bars are stacks of what happens seldom.
func bars(a about, queries ...query) *timeseries.PanelBuilder {
	return stacks(a, queries...).DrawStyle(common.GraphDrawStyleBars).FillOpacity(80)
}

func bottomLegend() *common.VizLegendOptionsBuilder {
	return common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).
		Placement(common.LegendPlacementBottom).ShowLegend(true).Calcs([]string{})
}

func allSeries() *common.VizTooltipOptionsBuilder {
	return common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)
}

// number is one value. Its color is that of the steps.
func number(a about, s steps, queries ...query) *stat.PanelBuilder {
	return show(stat.NewPanelBuilder(), a, queries...).NoValue("none").Thresholds(s.thresholds()).
		ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).
		TextMode(common.BigValueTextModeValue).JustifyMode(common.BigValueJustifyModeAuto).
		ReduceOptions(last())
}

// ranking is a bar a series, the longest for the most. Grafana leaves names the room of the one with most
// letters at the size it thinks fit; a smaller size keeps one of fewer and wider letters whole.
func ranking(a about, color string, queries ...query) *bargauge.PanelBuilder {
	return show(bargauge.NewPanelBuilder(), a, queries...).NoValue("none").Min(0).
		Orientation(common.VizOrientationHorizontal).DisplayMode(common.BarGaugeDisplayModeBasic).
		ShowUnfilled(false).ReduceOptions(last()).
		Text(common.NewVizTextDisplayOptionsBuilder().TitleSize(10).ValueSize(14)).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdFixed).FixedColor(color))
}

func last() *common.ReduceDataOptionsBuilder {
	return common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}).Fields("").Values(false)
}

// states is a band of colors a series. The values have names and colors by mappings.
func states(a about, mappings []dashboard.ValueMapping, queries ...query) *statetimeline.PanelBuilder {
	return show(statetimeline.NewPanelBuilder(), a, queries...).Mappings(mappings).
		ShowValue(common.VisibilityModeNever).MergeValues(true).FillOpacity(80).LineWidth(0).RowHeight(0.8).
		AlignValue(common.TimelineValueAlignmentLeft).Legend(bottomLegend()).Tooltip(allSeries()).
		// With a palette the legend has the names and colors of the mappings, and not the thresholds.
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic))
}

// density is a histogram over time. Grafana draws exemplars into it if the query asks for them.
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

// note is text for people.
func note(a about, markdown string) *text.PanelBuilder {
	return text.NewPanelBuilder().Title(a.title).Description(a.description).Span(a.w).Height(a.h).
		Mode(text.TextModeMarkdown).Content(markdown)
}
