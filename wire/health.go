package wire

// HealthType is the media type of health and info, that of the Spring system's
// actuator.
const HealthType = "application/vnd.spring-boot.actuator.v3+json"

// Health is a health as clients read it.
type Health struct {
	Status     string            `json:"status" enum:"UP,DOWN,UNKNOWN"`
	Components map[string]Health `json:"components,omitempty"`
	Groups     []string          `json:"groups,omitempty" nullable:"false"` // that have a health of their own
}

// Component is one part of a health.
type Component struct {
	Name string
	Up   bool
	// Optional says that the whole is up without it. Down it is UNKNOWN, which the
	// Spring system does not count either.
	Optional bool
}

// AppendHealth appends the health of something with components as JSON and says
// whether it is up: whether all of them are.
func AppendHealth(dst []byte, components []Component) (health []byte, up bool) {
	up = true
	for _, c := range components {
		up = up && (c.Up || c.Optional)
	}
	dst = append(appendStatus(append(dst, '{'), up), `,"components":{`...)
	for i, c := range components {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, c.Name), `:{`...)
		if c.Optional && !c.Up {
			dst = append(dst, `"status":"UNKNOWN"}`...)
			continue
		}
		dst = append(appendStatus(dst, c.Up), '}')
	}
	return append(dst, `},"groups":["liveness","readiness"]}`...), up
}

// AppendGroup appends the health of a group, which shows no components.
func AppendGroup(dst []byte, up bool) []byte {
	return append(appendStatus(append(dst, '{'), up), '}')
}

// AppendInfo appends what the info route says.
func AppendInfo(dst []byte, application, version string) []byte {
	dst = append(dst, `{"build":{"name":`...)
	dst = appendText(dst, application)
	dst = append(dst, `,"version":`...)
	dst = appendText(dst, version)
	return append(dst, `}}`...)
}

// appendStatus appends the one member that every client of a health reads.
func appendStatus(dst []byte, up bool) []byte {
	if up {
		return append(dst, `"status":"UP"`...)
	}
	return append(dst, `"status":"DOWN"`...)
}

// AppendReadiness appends the plain text with which a probe is answered, with a
// line for each component if it is to be verbose, and says whether all are up.
func AppendReadiness(dst []byte, components []Component, verbose bool) (text []byte, up bool) {
	up = true
	for _, c := range components {
		up = up && (c.Up || c.Optional)
		switch {
		case !verbose:
		case c.Up:
			dst = append(append(append(dst, "[+]"...), c.Name...), " ok\n"...)
		case c.Optional:
			dst = append(append(append(dst, "[?]"...), c.Name...), " away, serving goes on without it\n"...)
		default:
			dst = append(append(append(dst, "[-]"...), c.Name...), " failed, the log says why\n"...)
		}
	}
	if up {
		return append(dst, "ok\n"...), true
	}
	return append(dst, "not ready\n"...), false
}
