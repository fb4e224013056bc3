// Package edge is the gateway: one port in front of the services.
//
// It guarantees that
//
//   - /user/…, /friend/… and /recommendation/… reach their service without the
//     prefix, and that the service learns the prefix in X-Forwarded-Prefix from
//     the gateway alone: what clients send under that name is dropped,
//   - a request has one X-Request-Id on its whole way,
//   - of what services say about themselves only health and info come through;
//     probes, metrics and other actuators stay on the services' own ports,
//   - its own health is up while all services are.
//
// [New] returns the gateway as an http.Handler. Services in the same process are
// called directly.
//
// # Paths
//
//	/user/v1/users/7         →  user service, /v1/users/7
//	/friend/actuator/health  →  friend service, /actuator/health
//	/actuator/health         →  the gateway's own, with a component for each service
//	/problems/user-not-found →  what the problem means and what to do
//
// The gateway tells the service what it cut off in X-Forwarded-Prefix, so that the
// paths in answers lead back through the gateway; what a client sends under that
// name is dropped. Of what a service says about itself only health and info pass.
package edge
