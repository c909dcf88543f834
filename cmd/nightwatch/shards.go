package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nightwatch-go/nightwatch"
)

// shardFlag adds --shard to a command that may be about some shards of a run.
func shardFlag(cmd *cobra.Command, shards *string, what string) {
	cmd.Flags().StringVar(shards, "shard", "", "only these shards of the run: numbers and ranges, such as 1,3 or 0-2 "+what)
	argument(cmd.Flags(), "shard")
}

// parseShards reads the value of --shard.
func parseShards(text string) (nightwatch.ShardChoice, error) {
	shards, err := nightwatch.ParseIndexes(text)
	if err != nil {
		return "", usage("--shard: %w", err)
	}
	return nightwatch.ShardsNamed(shards), nil
}

// shardsText tells what the shards of a run are at.
func shardsText(s *nightwatch.RunShards) string {
	if s == nil {
		return ""
	}
	var parts []string
	for _, part := range []struct {
		shards nightwatch.Indexes
		what   string
	}{{s.Succeeded, "succeeded"}, {s.Failed, "failed"}, {s.Active, "active"}} {
		if part.shards != "" {
			parts = append(parts, string(part.shards)+" "+part.what)
		}
	}
	text := fmt.Sprint(s.Count)
	if s.Indexes != "" {
		text = fmt.Sprintf("%s of %d", s.Indexes, s.Count)
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, "; ")
	}
	return text
}

// shardsCell is shardsText in a table: how many have succeeded of how many.
func shardsCell(r *nightwatch.Run) string {
	if r.Shards == nil {
		return ""
	}
	return fmt.Sprintf("%d/%d", r.Shards.Succeeded.Len(), r.Shards.All().Len())
}
