package disk

// FillHoles is for tests: no file system at hand needs it.
var FillHoles = fillHoles
