package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// Colors have one meaning on all dashboards. Grafana adapts these names to the theme.
const (
	good    = "green"
	warn    = "orange"
	bad     = "red"
	restart = "purple"
	neutral = "blue"
	muted   = "text"

	upload   = "orange"
	download = "blue"
)

// steps are the colors of values from the lowest on: the first has no limit.
type steps []step

type step struct {
	from  float64
	color string
}

// always is one color for all values.
func always(color string) steps { return steps{{color: color}} }

// zeroIsGood is green for none and another color for any.
func zeroIsGood(color string) steps { return steps{{color: good}, {1e-9, color}} }

func (s steps) thresholds() *dashboard.ThresholdsConfigBuilder {
	list := make([]dashboard.Threshold, len(s))
	for i, at := range s {
		list[i].Color = at.color
		if i > 0 {
			list[i].Value = &s[i].from
		}
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(list)
}

// named gives values a name and a color.
func named(values map[string]dashboard.ValueMappingResult) []dashboard.ValueMapping {
	return []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{
		Type: dashboard.MappingTypeValueToText, Options: values,
	}}}
}

func state(text, color string) dashboard.ValueMappingResult {
	return dashboard.ValueMappingResult{Text: &text, Color: &color}
}

var (
	upOrDown = named(map[string]dashboard.ValueMappingResult{"1": state("up", good), "0": state("down", bad)})
	firing   = named(map[string]dashboard.ValueMappingResult{"1": state("firing", bad), "0": state("all is well", good)})

	verdictNames = named(map[string]dashboard.ValueMappingResult{"accept": state("accept", good), "reject": state("reject", bad)})
	loadedOrNot  = named(map[string]dashboard.ValueMappingResult{"1": state("loaded", good), "0": state("failed", bad)})
)

// property is a setting of some of a panel's fields.
func property(id string, value any) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: id, Value: value}
}

// painted is the property of a series whose color means something.
func painted(color string) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{
		property("color", map[string]any{"mode": "fixed", "fixedColor": color}),
	}
}

// painter is a panel whose series can be painted by name.
type painter[B any] interface {
	OverrideByName(string, []dashboard.DynamicConfigValue) B
}

// paint gives series their colors; names that a panel does not have do no harm.
func paint[B painter[B]](b B, colors []seriesColor) B {
	for _, c := range colors {
		b = b.OverrideByName(c.series, painted(c.color))
	}
	return b
}

type seriesColor struct{ series, color string }

var (
	directionColors = []seriesColor{{"up", upload}, {"down", download}}
	verdictColors   = []seriesColor{{"accept", good}, {"reject", bad}}
	reasonColors    = []seriesColor{{"stop", good}, {"rejected", bad}, {"lost", warn}, {"restart", restart}, {"evicted", warn}}
)

// byHeight colors a share that is bad when it is high; its name in the legend by its highest value.
func byHeight() *dashboard.FieldColorBuilder {
	return dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdContinuousGrYlRd).
		SeriesBy(dashboard.FieldColorSeriesByModeMax)
}
