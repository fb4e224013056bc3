// Package eureka speaks the REST protocol of Netflix's Eureka: as a registry, and as a
// client of one.
//
// The registry (Server) guarantees:
//
//   - An instance that is silent for as long as its lease (90 s unless it asks for
//     another) is gone at that moment, for everybody who asks.
//   - From 10 instances up, more than 15 % of them silent at once are taken for a broken
//     network: nobody is let go of, for an hour at most. ServerConfig.Preserve has
//     Netflix's rule, which does so for any number and for ever.
//   - A client that follows the delta has what the full list has, as long as it asks
//     once in three minutes, and is told by the hash when it has not.
//   - An instance can only name addresses that are its own, or in an allowed range.
//   - What is refused is answered 4xx with the reason, and changes nothing.
//   - It keeps nothing on a disk and knows no other registry. Restarted it is empty, and
//     everybody is back within a heartbeat.
//
// The client (Client) is a discovery.Resolver, and keeps instances registered
// (Announce). A registry that is away, or restarted empty, takes nobody out of its
// lists: who is no longer listed but was not said to be gone is kept for 90 s.
//
// Files: instance.go, codec.go, check.go the documents; registry.go, expire.go who is
// there; server.go, routes.go how it is asked; dashboard.go how people see it;
// client.go, announce.go, resolver.go the other side.
//
// Where this protocol is described: the wiki of Netflix/eureka, "Eureka REST
// operations"; what it leaves open was seen in the answers of such servers.
package eureka
