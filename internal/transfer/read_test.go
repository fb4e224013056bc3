package transfer

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// read reads files without a map and returns what would be sent, written down.
func read(t testing.TB, people, friends string) (plan *Plan, would, odd string, err error) {
	t.Helper()
	f := Files{NoMap: true, Keep: 2}
	if people != "" {
		f.People = file(t, "people", people)
	}
	if friends != "" {
		f.Friends = file(t, "friends", friends)
	}
	plan, err = Read(f)
	if err != nil {
		return nil, "", "", err
	}
	var b, o strings.Builder
	for _, p := range plan.people {
		fmt.Fprintf(&b, "%s=%s %s\n", plan.dir.external[p.who], p.first, p.last)
	}
	for _, f := range plan.friendships {
		fmt.Fprintf(&b, "%s-%s\n", plan.dir.external[f.a], plan.dir.external[f.b])
	}
	for _, one := range plan.Odd {
		one.File = filepath.Base(one.File)
		if err := one.Write(&o); err != nil {
			t.Fatal(err)
		}
	}
	return plan, b.String(), o.String(), nil
}

func TestFilesOfManyKindsSayTheSame(t *testing.T) {
	const want = "a=Ada Lovelace\nb=Grace Hopper\nc=Linus \na-b\nc-b\n"
	for name, f := range map[string][2]string{
		"CSV and spaces":          {"id,firstName,lastName\na,Ada,Lovelace\nb,Grace,Hopper\nc,Linus,\n", "a b\nc b\n"},
		"other columns, tabs":     {"lastName,note,FirstName,externalId\nLovelace,x,Ada,a\nHopper,,Grace,b\n,y,Linus,c\n", "a\tb\nc\tb"},
		"semicolons and a header": {"id;firstName;lastName\na;Ada;Lovelace\nb;Grace;Hopper\nc;Linus;\n", "from;to\na;b\nc;b\n"},
		"quotes and commas":       {"id,firstName,lastName\na,\"Ada\",\"Lovelace\"\nb,Grace,Hopper\nc,Linus,\"\"\n", "\"a\",\"b\"\nc,b,0.5\n"},
		"NDJSON": {
			`{"id":"a","firstName":"Ada","lastName":"Lovelace"}` + "\n" + `{"id":"b","firstName":"Grace","lastName":"Hopper","x":[1]}` +
				"\n" + `{"lastName":"","firstName":"Linus","id":"c"}`,
			`{"userId":"a","friendId":"b"}` + "\n" + `{"userId":"c","friendId":"b"}` + "\n",
		},
		"Windows": {"\xef\xbb\xbfid,firstName,lastName\r\na,Ada,Lovelace\r\nb,Grace,Hopper\r\nc,Linus,\r\n", "a b\r\nc b\r\n"},
		"gzip":    {compressed("id,firstName,lastName\na,Ada,Lovelace\nb,Grace,Hopper\nc,Linus,\n"), compressed("# two\n\n% or so\na b\nc b\n")},
	} {
		_, would, odd, err := read(t, f[0], f[1])
		if would != want || odd != "" || err != nil {
			t.Errorf("%s: %s%s%v", name, would, odd, err)
		}
	}
}

func TestWithoutIDsPeopleAreCalledByTheirPlace(t *testing.T) {
	_, would, odd, err := read(t, "firstName,lastName\nAda,L\nGrace,H\n,blank\nLinus,\n", "1 2\n4 1\n3 1\n")
	if want := "1=Ada L\n2=Grace H\n4=Linus \n1-2\n4-1\n"; would != want || err != nil {
		t.Errorf("%s%v", would, err)
	}
	if want := "people: left out 1 × a name that is not allowed\n  line 4: firstName must not be blank\n" +
		"friends: left out 1 × a person who is not known\n  line 3: 3\n"; odd != want {
		t.Errorf("%s", odd)
	}
}

func TestWithoutPeopleOrAMapIDsAreThoseOfTheTarget(t *testing.T) {
	_, would, odd, err := read(t, "", "userId,friendId\n1,2\n01,3\n0,3\n-4,3\n9223372036854775807,1\n9223372036854775808,1\n")
	if want := "1-2\n9223372036854775807-1\n"; would != want || err != nil {
		t.Errorf("%s%v", would, err)
	}
	if want := "friends: left out 4 × a person who is not known\n  line 3: 01\n  line 4: 0\n  and 2 more\n"; odd != want {
		t.Errorf("%s", odd)
	}
}

func TestWhatIsOddIsLeftOutAndReportedWithItsLine(t *testing.T) {
	long := strings.Repeat("x", 257)
	plan, would, odd, err := read(t,
		"id,firstName,lastName\na,Ada,L\na,Eve,L\nb,"+long+",\nc,\xff,\nd,\"x,\ne,only\nf,tab\ttab,\n"+
			strings.Repeat("y", MaxLine+1)+"\ng,Grace,H\n"+long+",Ida,I\n",
		"a g\ng a\na g\na a\na b\nnothing\n\xff g\n"+strings.Repeat("z", MaxLine+9))
	if want := "a=Ada L\ng=Grace H\na-g\n"; would != want || err != nil {
		t.Errorf("%s%v", would, err)
	}
	want := `people: left out 1 × an id that was there before
  line 3: a
people: left out 2 × a name that is not allowed
  line 4: firstName must have at most 256 characters, has 257
  line 8: firstName must not contain control characters
people: left out 1 × not UTF-8
  line 5
people: left out 3 × not a record
  line 6: extraneous or missing " in quoted-field
  line 7: 2 fields, want 3
  and 1 more
people: left out 1 × the line is too long
  line 9: over 65536 bytes
friends: left out 1 × a friendship that was there before, the other way round
  line 2
friends: left out 1 × a friendship that was there before
  line 3
friends: left out 1 × a friendship with oneself
  line 4: a
friends: left out 1 × a person who is not known
  line 5: b
friends: left out 1 × not a record
  line 6: want two ids
friends: left out 1 × not UTF-8
  line 7
friends: left out 1 × the line is too long
  line 8: over 65536 bytes
`
	if diff := cmp.Diff(want, odd); diff != "" {
		t.Error(diff)
	}
	if plan.OddLines() != 15 || plan.Odd[1].Of(Reversed) != 1 || plan.Odd[1].Of(Erased) != 0 {
		t.Errorf("%d odd lines", plan.OddLines())
	}
}

func TestObjectsThatAreNoPeopleAreOdd(t *testing.T) {
	_, would, odd, err := read(t, `{"id":1.5,"firstName":"A","lastName":""}
{"id":true,"firstName":"A","lastName":""}
{"firstName":"A"}
{"firstName":7,"lastName":""}
{"id":"a\nb","firstName":"A","lastName":""}
{"id":null,"firstName":"B","lastName":""}
[]
`, "")
	if would != "1.5=A \n3=B \n" || !strings.HasPrefix(odd, "people: left out 5 × not a record") || err != nil {
		t.Errorf("%s%s%v", would, odd, err)
	}
}

func TestFilesThatCanNotBeRead(t *testing.T) {
	for says, f := range map[string]Files{
		"people need a map":            {People: file(t, "p", "firstName,lastName\n")},
		"want a header with firstName": {People: file(t, "p", "1 2\n2 3\n"), NoMap: true},
		"no such file":                 {Friends: "nowhere"},
		"unexpected EOF":               {Friends: file(t, "f", compressed(strings.Repeat("1 2\n", 99))[:20])},
		"not a user id":                {Map: file(t, "m", "externalId,userId\na,0\n")},
		"stands there with two ids":    {Map: file(t, "m", "externalId,userId\na,1\na,2\n")},
		"want the header":              {Map: file(t, "m", "1,2\n")},
		"want externalId,userId":       {Map: file(t, "m", "1 2\n")},
	} {
		if _, err := Read(f); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q, got %v", says, err)
		}
	}
}

// TestOddKeepsTheFirstLinesWhateverTheirOrder: while sending, lines are reported in
// any order.
func TestOddKeepsTheFirstLinesWhateverTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keep := rapid.IntRange(0, 5).Draw(t, "keep")
		lines := rapid.SliceOfDistinct(rapid.IntRange(1, 50), rapid.ID[int]).Draw(t, "lines")
		odd := &Odd{File: "f", keep: keep}
		var group sync.WaitGroup
		for _, n := range lines {
			group.Go(func() { odd.note(Repeated, n, "") })
		}
		group.Wait()
		slices.Sort(lines)
		var want, got []int
		want = append(want, lines[:min(keep, len(lines))]...)
		if len(lines) > 0 {
			for _, l := range odd.kinds[0].first {
				got = append(got, l.number)
			}
		}
		if !slices.Equal(want, got) || odd.Count() != len(lines) {
			t.Fatalf("kept %v of %v, counted %d", got, lines, odd.Count())
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("id,firstName,lastName\na,Ada,L\n"), []byte("a a\na b\n"))
	f.Add([]byte(`{"id":1,"firstName":"A","lastName":""}`), []byte(`{"userId":1,"friendId":2}`))
	f.Add([]byte(compressed("firstName;lastName\nA;B\n")), []byte("\xef\xbb\xbf1,2"))
	f.Fuzz(func(t *testing.T, people, friends []byte) {
		plan, _, _, err := read(t, string(people), string(friends))
		if err != nil {
			return
		}
		for _, f := range plan.friendships {
			if f.a == f.b || plan.dir.external[f.a] == plan.dir.external[f.b] || f.line < 1 {
				t.Fatalf("%+v", f)
			}
		}
		for _, p := range plan.people {
			if p.first == "" || plan.dir.external[p.who] == "" {
				t.Fatalf("%+v", p)
			}
		}
	})
}

func FuzzReadMap(f *testing.F) {
	f.Add([]byte("# people sha256 00\n# log 11\nexternalId,userId\na,1\nb,2\n"))
	f.Add([]byte("externalId,userId\n\"a,b\",1\nc"))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := newDirectory()
		if _, err := readMap(file(t, "map", string(text)), dir); err != nil {
			return
		}
		for i, id := range dir.ids {
			if id < 1 || dir.index[dir.external[i]] != int32(i) {
				t.Fatalf("%q is %d", dir.external[i], id)
			}
		}
	})
}
