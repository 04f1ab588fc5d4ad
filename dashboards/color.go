package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// Colors have one meaning on all dashboards. They are those of Okabe and Ito, which people with any kind of color
// vision can tell apart, on dark and on light ground.
const (
	good    = "#009E73" // bluish green
	warn    = "#E69F00" // orange
	bad     = "#D55E00" // vermilion
	restart = "#CC79A7" // reddish purple
	neutral = "#3A9BDC" // blue
	gone    = "#6E6E6E" // gray
	muted   = "text"    // of Grafana's theme

	upload   = warn
	download = neutral
)

// steps are the colors of values in ascending order. The first has no lower bound.
type steps []step

type step struct {
	from  float64
	color string
}

// always returns steps with one color for all values.
func always(color string) steps { return steps{{color: color}} }

// zeroIsGood returns steps that are green for 0 and another color above.
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
	severity = named(map[string]dashboard.ValueMappingResult{
		"critical": state("critical", bad), "warning": state("warning", warn), "info": state("info", muted),
	})

	verdictNames = named(map[string]dashboard.ValueMappingResult{"accept": state("accept", good), "reject": state("reject", bad)})
	loadedOrNot  = named(map[string]dashboard.ValueMappingResult{"1": state("loaded", good), "0": state("failed", bad)})
)

// property overrides a setting of some fields of a panel.
func property(id string, value any) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: id, Value: value}
}

// painted returns the property that gives a series a fixed color.
func painted(color string) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{
		property("color", map[string]any{"mode": "fixed", "fixedColor": color}),
	}
}

// painter is a panel whose series can have fixed colors.
type painter[B any] interface {
	OverrideByName(string, []dashboard.DynamicConfigValue) B
}

// paint gives series fixed colors by name. It ignores names that the panel does not have.
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
	reasonColors    = []seriesColor{{"stop", good}, {"rejected", bad}, {"lost", warn}, {"restart", restart}, {"evicted", gone}}
)

// palette gives each series a color that only distinguishes it.
func palette() *dashboard.FieldColorBuilder {
	return dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic)
}
