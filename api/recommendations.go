package api

import (
	"net/http"

	"ensemble/recommendation"
	"ensemble/wire"
)

// RecommendationConfig is what the service of recommendations works with.
type RecommendationConfig struct {
	Config

	Recommendations *recommendation.Service
}

// recommendationAPI answers who should befriend whom.
type recommendationAPI struct {
	*Service
	recommendations *recommendation.Service
}

// NewRecommendation returns the service of recommendations.
func NewRecommendation(c RecommendationConfig) *Service {
	a := &recommendationAPI{Service: newService(c.Config), recommendations: c.Recommendations}
	return a.with(a.routes())
}

// routes is the table of the service of recommendations.
func (a *recommendationAPI) routes() []route {
	return []route{
		{http.MethodGet, "/v1/users/{id}/commands/recommendFriends", "recommendFriends", a.recommend},
		{http.MethodGet, "/v1/users/{id}/commands/findMutualFriends", "findMutualFriends", a.mutual},
	}
}

// recommend answers with the people whom somebody might befriend, best first.
func (a *recommendationAPI) recommend(r *request) error {
	id, err := r.pathID()
	if err != nil {
		return err
	}
	limit, err := r.limit(0)
	if err != nil {
		return err
	}
	return streamList(r, a.recommendations.Recommend(r.Context(), id, limit), appendCandidate)
}

// appendCandidate fits a candidate into a list.
func appendCandidate(dst []byte, c recommendation.Candidate) []byte {
	return wire.AppendRecommendation(dst, c.User, c.Weight)
}

// mutual answers with the friends that two people share, by id.
func (a *recommendationAPI) mutual(r *request) error {
	id, friendID, err := r.pair()
	if err != nil {
		return err
	}
	limit, err := r.limit(0)
	if err != nil {
		return err
	}
	return streamList(r, first(a.recommendations.Mutual(r.Context(), id, friendID), limit), wire.AppendUser)
}
