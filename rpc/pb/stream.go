package pb

// StreamWriteRequest is one push of a PushStream.
//
//	TenantID=1 string, Request=2 cortexpb.WriteRequest
type StreamWriteRequest struct {
	Tenant  string
	Request []byte
}

// Unmarshal reads r from m. Request lies in m, unless it comes in several parts, which are one message when they are
// joined.
func (r *StreamWriteRequest) Unmarshal(m []byte) error {
	*r = StreamWriteRequest{}
	return each("StreamWriteRequest", m, func(f field) (err error) {
		switch f.num {
		case 1:
			r.Tenant, err = f.string()
		case 2:
			var part []byte
			if part, err = f.bytes(); r.Request == nil {
				r.Request = part[:len(part):len(part)]
			} else {
				r.Request = append(r.Request, part...)
			}
		}
		return err
	})
}

// AppendWriteResponse appends a WriteResponse as PushStream needs it.
//
//	code=1 int32, an HTTP status; message=2 string
func AppendWriteResponse(dst []byte, code int, message string) []byte {
	dst = appendVarint(dst, 1, uint64(code))
	if message != "" {
		dst = AppendString(dst, 2, message)
	}
	return dst
}
