package answers

import (
	"strings"
	"testing"
)

func parse(t *testing.T, result string) Answer {
	t.Helper()
	a, err := parseAnswer([]byte(result))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The comparison is only worth what it finds: each way in which two answers can differ is found and named,
// and equal answers pass in whatever order the series come.
func TestCompareFindsEveryDifference(t *testing.T) {
	want := parse(t, `{"resultType":"matrix","result":[
		{"metric":{"a":"1","b":"2"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"0.1"]]},
		{"metric":{"a":"2"},"values":[[1.5,"7"]]}]}`)
	for _, test := range []struct {
		name, got string
		adds      bool
		want      []string
		rounded   int
	}{
		{name: "equal", got: `[{"metric":{"a":"2"},"values":[[1.5,"7"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"0.1"]]}]`},
		{name: "printed in another way", got: `[{"metric":{"a":"2"},"values":[[1.5,"7e0"]]},{"metric":{"a":"1","b":"2"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"1e-1"]]}]`},
		{
			name: "value", got: `[{"metric":{"a":"2"},"values":[[1.5,"8"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[2.5,"1"],[3.5,"0.1"]]}]`,
			want: []string{`at 2.5: 1, Prometheus says NaN`, `at 1.5: 8, Prometheus says 7`},
		},
		{
			name: "missing point", got: `[{"metric":{"a":"2"},"values":[[1.5,"7"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[3.5,"0.1"]]}]`,
			want: []string{`at 2.5: missing`},
		},
		{
			name: "missing end", got: `[{"metric":{"a":"2"},"values":[[1.5,"7"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[2.5,"NaN"]]}]`,
			want: []string{`at 3.5: missing`},
		},
		{
			name: "extra point", got: `[{"metric":{"a":"2"},"values":[[1.5,"7"],[1.6,"7"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"0.1"]]}]`,
			want: []string{`at 1.6: 7, Prometheus has nothing`},
		},
		{
			name: "missing series", got: `[{"metric":{"a":"2"},"values":[[1.5,"7"]]}]`,
			want: []string{`{a="1", b="2"}: missing`},
		},
		{
			name: "other labels", got: `[{"metric":{"a":"2"},"values":[[1.5,"7"]]},{"metric":{"b":"3","a":"1"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"0.1"]]}]`,
			want: []string{`{a="1", b="2"}: missing`, `{a="1", b="3"}: Prometheus does not have it`},
		},
		{
			name: "last bit", got: `[{"metric":{"a":"2"},"values":[[1.5,"7"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"0.10000000000000002"]]}]`,
			want: []string{`at 3.5: 0.10000000000000002, Prometheus says 0.1`},
		},
		{
			name: "last bit of a sum", adds: true, rounded: 1,
			got: `[{"metric":{"a":"2"},"values":[[1.5,"7"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"0.10000000000000002"]]}]`,
		},
		{
			name: "more than that", adds: true, got: `[{"metric":{"a":"2"},"values":[[1.5,"7.0000001"]]},{"metric":{"b":"2","a":"1"},"values":[[1.5,"1"],[2.5,"NaN"],[3.5,"0.1"]]}]`,
			want: []string{`at 1.5: 7.0000001, Prometheus says 7`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := compare(want, parse(t, `{"resultType":"matrix","result":`+test.got+`}`), test.adds)
			if len(c.differences) != len(test.want) || c.rounded != test.rounded {
				t.Fatalf("got %q, %d rounded", c.differences, c.rounded)
			}
			for i := range test.want {
				if !strings.Contains(c.differences[i], test.want[i]) {
					t.Errorf("got %q, want %q in it", c.differences[i], test.want[i])
				}
			}
		})
	}
}

// Vectors and scalars are read like matrices with one point. What the comparison cannot judge is an error.
func TestParseAnswer(t *testing.T) {
	vector := parse(t, `{"resultType":"vector","result":[{"metric":{},"value":[1,"+Inf"]}]}`)
	scalar := parse(t, `{"resultType":"scalar","result":[1,"+Inf"]}`)
	if c := compare(vector, scalar, false); c.points != 1 || c.differences != nil {
		t.Errorf("got %+v", c)
	}
	for _, bad := range []string{
		`{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}`,
		`{"resultType":"vector","result":[{"metric":{},"value":[1,"1"]},{"metric":{},"value":[1,"1"]}]}`,
		`{"resultType":"string","result":7}`,
	} {
		if _, err := parseAnswer([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
