package api

import (
	"net/http"
	"strconv"

	"ensemble/recommendation"
	"ensemble/wire"
)

// RecommendationConfig is what the service of recommendations works with.
type RecommendationConfig struct {
	Config

	Recommendations *recommendation.Service
	// Follows are the logs that recommendations are made from, in the order in
	// which answers name them. None: the source knows no positions.
	Follows []Followed
	// Behind is why questions can't be answered yet: what was there when the service
	// began is not all read. They are answered 503 projection-behind meanwhile. Nil: it
	// is read before anything is served.
	Behind func() error
}

// recommendationAPI answers who should befriend whom.
type recommendationAPI struct {
	*Service
	recommendations *recommendation.Service
	behind          func() error
}

// NewRecommendation returns the service of recommendations.
func NewRecommendation(c RecommendationConfig) *Service {
	a := &recommendationAPI{Service: newService(c.Config), recommendations: c.Recommendations, behind: c.Behind}
	for _, f := range c.Follows {
		a.follows(f)
	}
	return a.with(a.routes())
}

// routes is the table of the service of recommendations.
func (a *recommendationAPI) routes() []route {
	return []route{
		{http.MethodGet, "/v1/users/{id}/commands/recommendFriends", "recommendFriends", a.complete(a.fresh(a.stamped(a.recommend)))},
		{http.MethodGet, "/v1/users/{id}/commands/findMutualFriends", "findMutualFriends", a.complete(a.fresh(a.stamped(a.mutual)))},
	}
}

// complete returns a handler that refuses while the graph lacks what was there when the
// service began: a list that is short for this reason looks like any other.
func (a *recommendationAPI) complete(serve func(*request) error) func(*request) error {
	if a.behind == nil {
		return serve
	}
	return func(r *request) error {
		if err := a.behind(); err != nil {
			return failure{slug: wire.ProjectionBehind, retry: retrySoon, detail: "This service is still reading what happened before it began: " +
				err.Error() + ". Send it again after Retry-After."}
		}
		return serve(r)
	}
}

// recommend answers with the people whom somebody might befriend, best first.
func (a *recommendationAPI) recommend(r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	minWeight, err := r.minWeight()
	if err != nil {
		return err
	}
	explain, err := r.explain()
	if err != nil {
		return err
	}
	// An explanation changes how candidates look, not which ones there are.
	p, err := r.part(0, filter{"minWeight", strconv.Itoa(minWeight)}, filter{name: "explain"})
	if err != nil {
		return err
	}
	candidates := a.recommendations.Recommend(r.Context(), id, recommendation.Query{
		Limit: p.ask(), MinWeight: minWeight, Explain: explain,
		After: recommendation.Rank{ID: p.after.id, Weight: p.after.weight},
	})
	return streamList(r, p, candidates, appendCandidate, placeOfCandidate)
}

// appendCandidate fits a candidate into a list.
func appendCandidate(dst []byte, c recommendation.Candidate) []byte {
	return wire.AppendRecommendationOf(dst, c.User.Text(), c.Weight, c.Shared)
}

// placeOfCandidate says where a candidate stands in a list.
func placeOfCandidate(c recommendation.Candidate) place {
	return place{id: c.User.ID, weight: c.Weight}
}

// mutual answers with the friends that two people share, by id.
func (a *recommendationAPI) mutual(r *request) error {
	id, friendID, err := r.pair()
	if err != nil {
		return err
	}
	p, err := r.part(0, filter{"friendId", strconv.FormatInt(friendID, 10)})
	if err != nil {
		return err
	}
	shared := a.recommendations.Mutual(r.Context(), id, friendID, p.after.id)
	return streamList(r, p, shared, appendMutual, placeOfMutual)
}

// appendMutual fits a shared friend into a list.
func appendMutual(dst []byte, p recommendation.Profile) []byte { return append(dst, p.Text()...) }

// placeOfMutual says where a shared friend stands in a list.
func placeOfMutual(p recommendation.Profile) place { return place{id: p.ID} }
