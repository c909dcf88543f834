package reference

// What the form of a value is, and what goes with what, as far as a schema can say it and a type cannot. The forms are
// regular expressions of JavaScript as well as of Go.

const (
	label      = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	subdomain  = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`
	upstream   = `^([a-z0-9]([a-z0-9-]*[a-z0-9])?/)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	labelKey   = `^` + key + `$`
	labelValue = `^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$`
	variable   = `^[A-Za-z_][A-Za-z0-9_.-]*$`
	noNUL      = `^[^\x00]*$`
	image      = `^[^\s\x00]+$`
	ourKey     = `^nightwatch\.dev/`

	key      = `([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?`
	term     = `\s*(!?\s*` + key + `|` + key + `\s*(=|==|!=)\s*[A-Za-z0-9._-]*|` + key + `\s+(in|notin)\s*\([^()]*\))\s*`
	selector = `^(\s*|` + term + `(,` + term + `)*)$`
)

func matches(form string) members { return members{{"pattern", form}} }

// except refuses a form.
func except(form string) member { return member{"not", matches(form)} }

// textOrFile is a text of a form, or a secret.
func textOrFile(form string) members {
	secret := members{{"type", "string"}, {"pattern", `^[A-Za-z0-9._-]{1,253}$`}, except(`^\.(\.|$)`)}
	return members{{"anyOf", []any{members{{"type", "string"}, {"pattern", form}}, members{
		{"type", "object"}, {"additionalProperties", false}, {"required", []string{"fromFile"}}, {"properties", members{{"fromFile", secret}}},
	}}}}
}

func named(form string) members { return members{{"propertyNames", matches(form)}} }

func items(form string) members {
	return members{{"items", members{{"type", "string"}, {"pattern", form}}}}
}

var (
	labels      = members{{"propertyNames", matches(labelKey)}, {"additionalProperties", members{{"type", "string"}, {"pattern", labelValue}}}}
	variables   = members{{"propertyNames", append(matches(variable), except(`^NIGHTWATCH_`))}}
	environment = append(variables, member{"additionalProperties", textOrFile(noNUL)})
	positive    = members{{"minimum", 1}}
	natural     = members{{"minimum", 0}}
	inUse       = members{{"minimum", 60}}
)

// forms are those of fields, by path.
var forms = map[string]members{
	"name":      append(matches(label), member{"maxLength", 45}),
	"namespace": append(matches(label), member{"maxLength", 63}),
	"labels":    labels,
	"image":     matches(image),
	"command":   items(noNUL),
	"args":      items(noNUL),
	"params":    named(`^[A-Za-z_][A-Za-z0-9_.-]*$`),

	"at":       oneOrMore(append(members{{"type", "string"}}, matches(instant)...)),
	"startsAt": matches(instant),
	"endsAt":   matches(instant),
	"runsOn":   matches(selector),
	"timeZone": {{"not", members{{"const", "Local"}}}},

	"after.tasks": append(items(upstream), member{"minItems", 1}, member{"maxItems", 20}, member{"uniqueItems", true}),

	"calendars.include": items(label),
	"calendars.exclude": items(label),

	"kubernetes.container":                       append(matches(label), member{"maxLength", 63}),
	"kubernetes.image":                           matches(image),
	"kubernetes.command":                         items(noNUL),
	"kubernetes.args":                            items(noNUL),
	"kubernetes.env":                             variables,
	"kubernetes.serviceAccountName":              append(matches(subdomain), member{"maxLength", 253}),
	"kubernetes.imagePullSecrets":                items(subdomain),
	"kubernetes.nodeSelector":                    labels,
	"kubernetes.volumes":                         {{"maxItems", 64}},
	"kubernetes.volumes[].name":                  matches(label),
	"kubernetes.volumes[].mountPath":             matches(`^/[^:\x00]*$`),
	"kubernetes.volumes[].subPath":               append(matches(noNUL), except(`^/|(^|/)\.\.(/|$)`)),
	"kubernetes.volumes[].configMap":             matches(subdomain),
	"kubernetes.volumes[].secret":                matches(subdomain),
	"kubernetes.volumes[].persistentVolumeClaim": matches(subdomain),
	"kubernetes.backoffLimit":                    natural,
	"kubernetes.activeDeadlineSeconds":           positive,
	"kubernetes.ttlSecondsAfterFinished":         inUse,
	"kubernetes.clusterSelector":                 matches(selector),
	"kubernetes.cluster":                         matches(`^[A-Za-z0-9]([A-Za-z0-9._:/@-]{0,126}[A-Za-z0-9])?$`),

	"process.command":       append(items(noNUL), member{"allOf", []any{members{{"items", []any{members{{"minLength", 1}}}}}}}),
	"process.shell":         matches(noNUL),
	"process.python":        matches(noNUL),
	"process.dir":           matches(`^/[^\x00]*$`),
	"process.env":           environment,
	"process.user":          append(matches(account), except(`^-`)),
	"process.group":         append(matches(account), except(`^-`)),
	"process.umask":         matches(`^0?[0-7]{3}$`),
	"process.limits.memory": matches(`^[0-9]{1,18}([kMGT]|[KMGT]i)?$`),
	"process.limits.cpu":    append(matches(`^([0-9]{1,9}m|[0-9]{1,6}(\.[0-9]{1,3})?)$`), except(nothing)),

	"http.method":         matches("^[!#$%&'*+.^_`|~0-9A-Z-]+$"),
	"http.url":            matches(url),
	"http.headers":        {{"propertyNames", matches("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")}, {"additionalProperties", textOrFile(oneLine)}},
	"http.success":        items(`^[1-5][0-9]{2}(-[1-5][0-9]{2})?$`),
	"http.tls.serverName": matches(`^[A-Za-z0-9.-]+$`),

	"handler.name": {{"minLength", 1}},
}

const (
	instant = `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?$`
	url     = `^[hH][tT][tT][pP][sS]?://(\[[0-9A-Fa-f:.%]+\]|[^/?#@:{}\[\]\x00-\x20]+)(:[0-9]*)?([/?#][^\x00-\x1f\x7f]*)?$`
	oneLine = `^[^\x00-\x08\x0a-\x1f\x7f]*$`
	nothing = `^[0.]*m?$`
)

const account = `^[^:/\s\x00-\x1f\x7f]{0,256}$`

func required(names ...string) members { return members{{"required", names}} }

// not refuses fields that stand side by side.
func not(names ...string) members { return members{{"not", required(names...)}} }

// one wants exactly one of several fields.
func one(names ...string) []any {
	var each []any
	for _, name := range names {
		each = append(each, required(name))
	}
	return each
}

// goes says of a field that it goes with one of others.
func goes(field string, with ...string) member {
	return member{field, members{{"anyOf", one(with...)}}}
}

// again says of a field that it goes with two attempts or more.
func again(field string) member {
	return member{field, append(required("attempts"), member{"properties", members{{"attempts", members{{"minimum", 2}}}}})}
}

// when says what follows from a field that has one of some values.
func when(field string, values []any, then members) members {
	return members{
		{"if", members{{"required", []string{field}}, {"properties", members{{field, members{{"enum", values}}}}}}},
		{"then", then},
	}
}

// under is about what stands under a path.
func under(path []string, what members) members {
	for i := len(path) - 1; i >= 0; i-- {
		what = members{{"properties", members{{path[i], what}}}}
	}
	return what
}

// rules are about the fields of an object together, by its path.
var rules = map[string]members{
	"": {
		{"oneOf", one("image", "kubernetes", "process", "http", "handler")},
		{"dependencies", members{
			goes("command", "image"), goes("args", "image"),
			goes("offset", "every"),
			goes("timeZone", "schedule", "every", "afterFinish", "at"),
			goes("daylightSaving", "schedule"), goes("dayMatch", "schedule"),
			goes("calendars", "schedule", "every", "at"),
			goes("startsAt", "schedule", "every", "afterFinish"), goes("endsAt", "schedule", "every", "afterFinish"),
			goes("maxRuns", "schedule", "every", "afterFinish"),
			goes("jitter", "schedule", "every"),
			goes("catchUp", "schedule", "every", "at"),
		}},
		{"allOf", []any{
			not("schedule", "every"), not("schedule", "afterFinish"), not("schedule", "at"),
			not("every", "afterFinish"), not("every", "at"), not("afterFinish", "at"),
			not("after", "schedule"), not("after", "every"), not("after", "afterFinish"), not("after", "at"),
			when("overlap", []any{"skip"}, members{{"anyOf", one("schedule", "every", "afterFinish", "at", "after")}}),
			when("overlap", []any{"queue-one", "queue-all", "replace"}, not("afterFinish")),
			when("delivery", []any{"at-most-once"}, atMostOnce),
			members{
				{"if", members{{"required", []string{"http"}}, {"properties", members{{"http", members{{"anyOf", one("poll", "callback")}}}}}}},
				{"then", members{{"anyOf", one("timeout", "runTimeout")}}},
			},
			members{
				{"if", required("every")},
				{"then", under([]string{"calendars", "onExcluded"}, members{{"const", "skip"}})},
			},
			members{
				{"if", members{{"anyOf", one("shards", "shardParams")}}},
				{"then", under([]string{"kubernetes", "template", "spec"}, members{{"not", members{{"anyOf", one(indexes...)}}}})},
			},
			members{
				{"if", members{{"required", []string{"shards"}}, {"properties", members{{"shards", members{{"const", "per-node"}}}}}}},
				{"then", members{{"not", members{{"anyOf", one("image", "kubernetes", "shardParams")}}}}},
			},
		}},
	},
	"after": required("tasks"),
	"calendars": {
		{"dependencies", members{goes("onExcluded", "include", "exclude")}},
	},
	"kubernetes": {
		{"anyOf", []any{required("image"), toContainers}},
		{"allOf", []any{
			not("cluster", "clusterSelector"),
			members{
				{"if", required("podFailurePolicy")},
				{"then", under([]string{"template", "spec"}, failurePolicy)},
			},
		}},
	},
	"kubernetes.volumes[]": {
		{"required", []string{"mountPath"}},
		{"anyOf", one("name", "configMap", "secret", "persistentVolumeClaim", "emptyDir")},
		{"allOf", []any{
			not("configMap", "secret"), not("configMap", "persistentVolumeClaim"), not("configMap", "emptyDir"),
			not("secret", "persistentVolumeClaim"), not("secret", "emptyDir"), not("persistentVolumeClaim", "emptyDir"),
		}},
	},
	"process": {{"oneOf", one("command", "shell", "python")}},
	"http": {
		{"required", []string{"url"}},
		{"allOf", []any{
			not("poll", "callback"),
			members{
				{"if", under([]string{"tls"}, required("serverName")).with(required("tls"))},
				{"then", under([]string{"url"}, matches(`^[hH][tT][tT][pP][sS]:`))},
			},
		}},
	},
	"handler": {{"required", []string{"name"}}},
	"retry": {{"dependencies", members{
		again("backoff"), again("factor"), again("maxBackoff"), again("jitter"), again("on"),
	}}},
}

// indexes are the fields of a Job that shards are made of.
var indexes = []string{"completions", "completionMode", "parallelism", "backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"}

// toContainers wants a template that has at least one.
var toContainers = func() members {
	schema := members{{"minItems", 1}}
	for _, name := range []string{"containers", "spec", "template", "spec", "template"} {
		schema = append(required(name), member{"properties", members{{name, schema}}})
	}
	return schema
}()

// failurePolicy is what the spec of a Job with a pod failure policy does not go against.
var failurePolicy = members{{"properties", members{
	{"podReplacementPolicy", members{{"const", "Failed"}}},
	{"template", under([]string{"spec", "restartPolicy"}, members{{"const", "Never"}})},
}}}

// atMostOnce leaves out what starts a program again.
var atMostOnce = members{{"properties", members{{"kubernetes", members{
	{"properties", members{
		{"backoffLimit", members{{"maximum", 0}}},
		{"podFailurePolicy", noIgnore},
		{"template", under([]string{"spec"}, members{{"properties", members{
			{"backoffLimitPerIndex", members{{"maximum", 0}}},
			{"podFailurePolicy", noIgnore},
			{"template", under([]string{"spec"}, members{{"properties", members{
				{"restartPolicy", members{{"const", "Never"}}},
				{"containers", members{{"items", members{{"properties", members{
					{"restartPolicy", members{{"const", "Never"}}}, {"restartPolicyRules", false},
				}}}}}},
			}}})},
		}}})},
	}},
	{"anyOf", []any{
		required("backoffLimit"),
		under([]string{"template", "spec", "backoffLimit"}, members{{"maximum", 0}}),
	}},
}}}}}

var noIgnore = under([]string{"rules"}, members{{"items", under([]string{"action"}, members{{"not", members{{"const", "Ignore"}}}})}})

// kubernetesForms are those of fields of the Kubernetes API, by object and field.
var kubernetesForms = map[string]members{
	"EnvVar.name":            {except(`^NIGHTWATCH_`)},
	"ObjectMeta.labels":      {{"additionalProperties", members{{"type", "string"}, {"pattern", labelValue}}}, {"propertyNames", members{{"allOf", []any{matches(labelKey), members{except(ourKey)}, members{{"not", members{{"const", "app.kubernetes.io/managed-by"}}}}}}}}},
	"ObjectMeta.annotations": {{"propertyNames", members{{"allOf", []any{matches(labelKey), members{except(ourKey)}}}}}},

	"JobSpec.backoffLimit":            natural,
	"JobSpec.backoffLimitPerIndex":    natural,
	"JobSpec.maxFailedIndexes":        natural,
	"JobSpec.completions":             natural,
	"JobSpec.parallelism":             natural,
	"JobSpec.activeDeadlineSeconds":   positive,
	"JobSpec.ttlSecondsAfterFinished": inUse,
	"JobSpec.completionMode":          {{"enum", []any{"NonIndexed", "Indexed"}}},
	"JobSpec.podReplacementPolicy":    {{"enum", []any{"Failed", "TerminatingOrFailed"}}},
	"PodSpec.restartPolicy":           {{"enum", []any{"Never", "OnFailure"}}},
	"PodSpec.activeDeadlineSeconds":   positive,
	"PodFailurePolicyRule.action":     {{"enum", []any{"FailJob", "FailIndex", "Ignore", "Count"}}},
	"Container.name":                  append(matches(label), member{"maxLength", 63}),
	"Container.image":                 matches(image),
}

// kubernetesRules are about the fields of an object of the Kubernetes API together.
var kubernetesRules = map[string]members{
	"Container":            {{"required", []string{"name"}}},
	"EnvVarSource":         {{"minProperties", 1}, {"maxProperties", 1}},
	"EnvFromSource":        {{"oneOf", one("configMapRef", "secretRef")}},
	"PodFailurePolicyRule": {{"required", []string{"action"}}, {"oneOf", one("onExitCodes", "onPodConditions")}},
	"JobSpec": {
		{"dependencies", members{{"maxFailedIndexes", []string{"backoffLimitPerIndex"}}}},
		{"allOf", []any{
			members{
				{"if", members{{"required", []string{"completionMode"}}, {"properties", members{{"completionMode", members{{"const", "Indexed"}}}}}}},
				{"then", required("completions")},
				{"else", members{{"not", members{{"anyOf", one("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy")}}}}},
			},
			members{{"if", required("podFailurePolicy")}, {"then", failurePolicy}},
		}},
	},
}
