package runlog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
)

// segments are where the two halves of a log are kept. They are used under the lock of the log, if it is live.
type segments interface {
	// append adds to the newer half, all of data or nothing.
	append(data []byte) error
	// turn makes the newer half the older one, and begins another.
	turn() error
	// open reads the older or the newer half: fs.ErrNotExist when there is none.
	open(older bool) (segment, error)
	// close ends the writing.
	close()
}

// segment is one half as a reader sees it, which keeps what it has when the log is turned over.
type segment interface {
	io.ReaderAt
	io.Closer
	size() int64
}

// files are segments in a directory.
type files struct {
	dir  *directory
	name string
	file *os.File // the newer half, once something was written
	size int64
}

func (f *files) older() string { return f.name + ".1" }

func (f *files) begin() (err error) {
	root, err := f.dir.open()
	if err != nil {
		return err
	}
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND
	f.file, err = root.OpenFile(f.name, flags, 0o600)
	for tries := 0; errors.Is(err, fs.ErrNotExist) && tries < 3; tries++ { // an empty folder may be removed meanwhile
		if err := root.MkdirAll(path.Dir(f.name), 0o700); err != nil {
			return err
		}
		f.file, err = root.OpenFile(f.name, flags, 0o600)
	}
	if err != nil {
		return err
	}
	info, err := f.file.Stat()
	if err != nil {
		f.close()
		return err
	}
	f.size = info.Size()
	f.dir.added(blockSize - 1)
	return f.endRecord()
}

// endRecord ends the record that a node was writing when it was killed.
func (f *files) endRecord() error {
	last := make([]byte, 1)
	if n, _ := f.file.ReadAt(last, f.size-1); n == 0 || last[0] == '\n' {
		return nil
	}
	return f.append([]byte("\n"))
}

func (f *files) append(data []byte) error {
	if f.file == nil {
		if err := f.begin(); err != nil {
			return err
		}
	}
	n, err := f.file.Write(data)
	if err != nil {
		if n > 0 { // no record is to be cut off in the midst
			_ = f.file.Truncate(f.size)
		}
		return err
	}
	f.size += int64(n)
	f.dir.added(int64(n))
	return nil
}

func (f *files) turn() error {
	root, err := f.dir.open()
	if err != nil {
		return err
	}
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
	return root.Rename(f.name, f.older())
}

func (f *files) open(older bool) (segment, error) {
	root, err := f.dir.open()
	if err != nil {
		return nil, err
	}
	name := f.name
	if older {
		name = f.older()
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	return half{file}, nil
}

// half is a segment in a file.
type half struct{ *os.File }

func (h half) size() int64 {
	info, err := h.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

func (f *files) close() {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
}

// memory is segments that last as long as somebody holds them.
type memory struct{ older, newer *block }

// block is one half in memory.
type block struct {
	mu   sync.RWMutex
	data []byte
}

func (m *memory) append(data []byte) error {
	if m.newer == nil {
		m.newer = new(block)
	}
	m.newer.mu.Lock()
	defer m.newer.mu.Unlock()
	m.newer.data = append(m.newer.data, data...)
	return nil
}

func (m *memory) turn() error {
	m.older, m.newer = m.newer, nil
	return nil
}

func (m *memory) open(older bool) (segment, error) {
	b := m.newer
	if older {
		b = m.older
	}
	if b == nil {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (m *memory) close() {}

// ReadAt implements io.ReaderAt.
func (b *block) ReadAt(into []byte, offset int64) (int, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if offset >= int64(len(b.data)) {
		return 0, io.EOF
	}
	n := copy(into, b.data[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

func (b *block) size() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return int64(len(b.data))
}

// Close implements io.Closer.
func (b *block) Close() error { return nil }
