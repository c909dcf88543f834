package main

import (
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logging says what is logged and how.
type logging struct{ level, format string }

func (l *logging) flags(flags *pflag.FlagSet) {
	flags.StringVar(&l.level, "log-level", "info", "trace, debug, info, warn or error")
	flags.StringVar(&l.format, "log-format", "text", "text or json")
}

func (l *logging) check() error {
	if !slices.Contains([]string{"trace", "debug", "info", "warn", "error"}, l.level) {
		return usage("--log-level: %q: want trace, debug, info, warn or error", l.level)
	}
	if l.format != "text" && l.format != "json" {
		return usage("--log-format: %q: want text or json", l.format)
	}
	return nil
}

func (l *logging) logger(out io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name:       "nightwatch",
		Level:      hclog.LevelFromString(l.level),
		Output:     out,
		JSONFormat: l.format == "json",
	})
}

// zapTo hands what etcd's client or server logs, from level on, to an hclog.Logger. What they call an error is a
// warning here: whether it matters is for the node to say.
func zapTo(logger hclog.Logger, level zapcore.LevelEnabler) *zap.Logger {
	return zap.New(&zapCore{LevelEnabler: level, logger: logger})
}

type zapCore struct {
	zapcore.LevelEnabler
	logger hclog.Logger
}

func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{LevelEnabler: c.LevelEnabler, logger: c.logger.With(pairs(fields)...)}
}

func (c *zapCore) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(entry.Level) {
		return checked.AddCore(entry, c)
	}
	return checked
}

func (c *zapCore) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	level := hclog.Debug
	if entry.Level >= zapcore.ErrorLevel {
		level = hclog.Warn
	}
	c.logger.Log(level, strings.TrimSpace(entry.Message), pairs(fields)...)
	return nil
}

func (c *zapCore) Sync() error { return nil }

func pairs(fields []zapcore.Field) []any {
	encoder := zapcore.NewMapObjectEncoder()
	args := make([]any, 0, 2*len(fields))
	for _, field := range fields {
		field.AddTo(encoder)
		if value, ok := encoder.Fields[field.Key]; ok {
			args = append(args, field.Key, value)
		}
	}
	return args
}
