package discovery_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"ensemble/discovery"
)

// TestWhereNoRequestGoes is every form in which an address can be written, and what can't
// be one machine.
func TestWhereNoRequestGoes(t *testing.T) {
	for text, ok := range map[string]bool{
		"10.0.0.1": true, "127.0.0.1": true, "127.255.255.254": true, "192.0.2.1": true, "100.64.0.1": true, "1.0.0.0": true, "223.255.255.255": true,
		"::1": true, "fd00::1": true, "2001:db8::1": true, "::ffff:10.0.0.1": true, "64:ff9b::10.0.0.1": true, "64:ff9b:1::a": true,
		"0.0.0.0": false, "0.255.255.255": false, "255.255.255.255": false, "224.0.0.1": false, "239.255.255.255": false,
		"169.254.0.0": false, "169.254.169.254": false, "169.254.255.255": false, "fe80::1": false, "febf::1": false, "fe80::1%eth0": false, "fd00::1%1": false,
		"::": false, "ff02::1": false, "ff0e::1": false, "::ffff:0.0.0.0": false, "::ffff:169.254.169.254": false, "::ffff:255.255.255.255": false, "::ffff:224.0.0.1": false,
		"::2": false, "::10.0.0.1": false, "::169.254.169.254": false, "64:ff9b::": false, "64:ff9b::169.254.169.254": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b::ffff:ffff": false,
	} {
		if err := discovery.Reachable(netip.MustParseAddr(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if discovery.Reachable(netip.Addr{}) == nil {
		t.Error("no address is one")
	}
}

// TestHowAnAddressIsWrittenMakesNoDifference: whatever the ranges, who may name an address does not
// depend on how it is written, and never is it one where no request goes.
func TestHowAnAddressIsWrittenMakesNoDifference(t *testing.T) {
	ip4 := rapid.Custom(func(t *rapid.T) netip.Addr {
		first := rapid.SampledFrom([]byte{0, 10, 127, 169, 192, 224, 255}).Draw(t, "first")
		second := rapid.SampledFrom([]byte{0, 1, 254, 255}).Draw(t, "second")
		return netip.AddrFrom4([4]byte{first, second, rapid.SampledFrom([]byte{0, 255}).Draw(t, "third"), rapid.SampledFrom([]byte{1, 255}).Draw(t, "fourth")})
	})
	rapid.Check(t, func(t *rapid.T) {
		ip, peer := ip4.Draw(t, "ip"), ip4.Draw(t, "peer")
		if rapid.Bool().Draw(t, "own") {
			peer = ip
		}
		a := discovery.Advertised{}
		for _, base := range rapid.SliceOfN(ip4, 0, 3).Draw(t, "ranges") {
			a.Ranges = append(a.Ranges, netip.PrefixFrom(base, rapid.SampledFrom([]int{0, 8, 16, 32}).Draw(t, "bits")).Masked())
		}
		a.Local = rapid.SliceOfN(ip4, 0, 2).Draw(t, "local")
		want := ip == peer || peer.IsLoopback() && ip.IsLoopback()
		for _, r := range a.Ranges {
			want = want || r.Contains(ip) && !ip.IsLoopback()
		}
		for _, own := range a.Local {
			want = want || own == ip && peer.IsLoopback()
		}
		want = want && discovery.Reachable(ip) == nil
		for _, form := range []netip.Addr{ip, netip.AddrFrom16(ip.As16()), translated(ip)} {
			for _, from := range []netip.Addr{peer, netip.AddrFrom16(peer.As16())} {
				err := a.Check(form, from)
				if (err == nil) != want {
					t.Fatalf("%s from %s with %v: %v", form, from, a, err)
				}
				if err != nil && !strings.HasPrefix(err.Error(), "address ") {
					t.Fatalf("says %v", err)
				}
			}
		}
	})
}

// translated returns an address as who has only IPv6 writes it.
func translated(ip netip.Addr) netip.Addr {
	b := ip.As16()
	copy(b[:], []byte{0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})
	return netip.AddrFrom16(b)
}

// TestOneAddressInManyWaysIsOneInstance.
func TestOneAddressInManyWaysIsOneInstance(t *testing.T) {
	for _, group := range [][]string{
		{"127.0.0.1:80", "http://127.0.0.1:80/", "127.0.0.1:080", "[::ffff:127.0.0.1]:80"},
		{"[::1]:80", "[0:0:0:0:0:0:0:1]:80", "[0::1]:0080"},
		{"user-service:80", "User-Service:80", "http://USER-SERVICE:80"},
	} {
		s, err := discovery.NewStatic(map[string][]string{"user": group})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Resolve(t.Context(), "user")
		if err != nil || len(l.Instances) != 1 || l.Instances[0].Addr != group[0] || l.Instances[0].ID != group[0] {
			t.Errorf("%v: %+v %v", group, l, err)
		}
	}
}

// TestTheLatestAnswerAgainstItsStory: a source that answers, fails and hangs at random
// is asked at random moments. What comes is the last good answer, from when it was
// given; the trouble is that of the last try; and it is never asked more often than it
// was promised.
func TestTheLatestAnswerAgainstItsStory(t *testing.T) {
	const every, most = 5 * time.Second, 2 * time.Second
	rapid.Check(t, func(rt *rapid.T) {
		moods := rapid.SliceOfN(rapid.SampledFrom([]string{"well", "failing", "hanging", "slow"}), 30, 30).Draw(rt, "moods")
		waits := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, every - 1, every, time.Hour}), 30, 30).Draw(rt, "waits")
		var wrong error
		synctest.Test(t, func(t *testing.T) {
			asked, mood := 0, ""
			var last, tried, confirmed time.Time
			value, troubled := 0, false
			l := discovery.NewLatest(every, most, func(ctx context.Context, before int) (int, error) {
				if before != value || !last.IsZero() && time.Since(last) < every {
					wrong = errors.New("asked too early, or with another answer than the last")
				}
				asked++
				switch mood {
				case "failing":
					return -1, errors.New("failing")
				case "hanging":
					<-ctx.Done()
					return -1, ctx.Err()
				case "slow":
					time.Sleep(most - 1)
				}
				return before + 1, nil
			})
			for i := range moods {
				time.Sleep(waits[i])
				n := asked
				mood, last = moods[i], tried
				a, err := l.Ask(t.Context())
				if asked > n {
					tried = time.Now()
					if troubled = mood == "failing" || mood == "hanging"; !troubled {
						value, confirmed = value+1, tried
					}
				}
				if (err != nil) != (value == 0) || err == nil && (a.Value != value || !a.Confirmed.Equal(confirmed) || (a.Trouble != nil) != troubled) {
					wrong = errors.Join(wrong, errors.New("not the last good answer"), err)
				}
			}
		})
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}
