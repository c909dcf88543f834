// Package reference makes the reference of a task's fields, and its JSON Schema for editors, from the types of the root
// package and from what their comments say: make generate. A test of the root package says when it is due.
//
// A new field is picked up as it is, its comment too. Of a comment it is read:
//
//   - what the default is: a sentence that begins with "Default", or "; default …" at the end of one. Of values that are
//     constants, "(default)" behind one of them;
//   - for a string, that it is one of the constants named, if there are any;
//   - for a number, and constants count as such: "1 to 100", "at most 100", "at least 1" and "1 or more".
//
// Names of fields and constants are written as users know them. A field without a comment has that of the one above.
//
// What a comment cannot say, the rules of this package add: the form of a name, what goes with what. A rule that is
// missing makes the schema take more than the cluster does, never less.
package reference
