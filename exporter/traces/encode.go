package traces

import (
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
)

// encodeAttributes encodes the first most attributes as OTLP, with strings cut to the given number of characters; -1 is
// no limit.
func encodeAttributes(attributes []attribute.KeyValue, most, characters int) []*commonpb.KeyValue {
	if most >= 0 && len(attributes) > most {
		attributes = attributes[:most]
	}
	values := make([]commonpb.KeyValue, len(attributes))
	encoded := make([]*commonpb.KeyValue, len(attributes))
	for i, a := range attributes {
		values[i].Key, values[i].Value = string(a.Key), encodeValue(a.Value, characters)
		encoded[i] = &values[i]
	}
	return encoded
}

func encodeValue(v attribute.Value, characters int) *commonpb.AnyValue {
	switch v.Type() {
	case attribute.STRING:
		return text(v.AsString(), characters)
	case attribute.BOOL:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v.AsBool()}}
	case attribute.INT64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: v.AsInt64()}}
	case attribute.FLOAT64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v.AsFloat64()}}
	case attribute.STRINGSLICE:
		var list []*commonpb.AnyValue
		for _, s := range v.AsStringSlice() {
			list = append(list, text(s, characters))
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: list}}}
	default:
		return text(v.String(), characters)
	}
}

// text encodes a string, cut to the given number of characters; -1 is no limit.
func text(s string, characters int) *commonpb.AnyValue {
	if characters >= 0 && len(s) > characters && utf8.RuneCountInString(s) > characters {
		n := 0
		for i := range s {
			if n == characters {
				s = s[:i]
				break
			}
			n++
		}
	}
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: s}}
}
