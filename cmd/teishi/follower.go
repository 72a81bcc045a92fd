package main

import (
	"fmt"
	"strings"

	"github.com/teishi-dev/teishi/policystore"
	"github.com/teishi-dev/teishi/policystore/redis"
	"github.com/teishi-dev/teishi/policystore/remote"
)

// follow makes the node a decision point.
func (n *node) follow(c *serveConfig) error {
	var origins []policystore.Origin
	for _, o := range c.follow {
		origin, err := n.origin(&o)
		if err != nil {
			return err
		}
		origin.Name, origin.Setting = distinct(origins, origin.Name), named("follow")
		origins = append(origins, origin)
	}
	n.source = strings.Join(originNames(origins), ", ")
	n.replicate(c, origins)
	if len(n.reporters) == 0 {
		n.logger.Warn("there is no way to an authority in --follow (TEISHI_FOLLOW): nothing can be proven of this decision point, and teishi wait does not wait for it")
	}
	if c.trust == nil && len(n.reporters) < len(origins) {
		n.logger.Warn("Redis is trusted: without --trust-keys (TEISHI_TRUST_KEYS) what it holds is believed if it is consistent")
	}
	return nil
}

// origin opens one thing to follow.
func (n *node) origin(o *originSetting) (policystore.Origin, error) {
	if o.redis != nil {
		config := *o.redis
		config.Damaged = n.metrics.DamagedProof
		source, err := redis.NewSource(config)
		if err != nil {
			return policystore.Origin{}, err
		}
		return policystore.Origin{Name: "redis", Source: source}, nil
	}
	authority, err := remote.New(*o.authority)
	if err != nil {
		return policystore.Origin{}, fmt.Errorf("%s: %w", named("follow"), err)
	}
	n.closers = append(n.closers, authority.Close)
	n.reporters = append(n.reporters, authority)
	return policystore.Origin{Name: "grpc", Source: authority}, nil
}

// distinct makes the second of a kind kind-2.
func distinct(origins []policystore.Origin, kind string) string {
	count := 1
	for _, o := range origins {
		if o.Name == kind || strings.HasPrefix(o.Name, kind+"-") {
			count++
		}
	}
	if count == 1 {
		return kind
	}
	return fmt.Sprintf("%s-%d", kind, count)
}

func originNames(origins []policystore.Origin) []string {
	names := make([]string, len(origins))
	for i, o := range origins {
		names[i] = o.Name
	}
	return names
}
