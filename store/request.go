package store

import (
	"context"
	"math"
	"reflect"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// ownKV is what a client has for KV by itself.
var ownKV = reflect.TypeOf(clientv3.NewKVFromKVClient(nil, nil))

// ask sends a request as it is, or by the client's KV where somebody has put another into it, as clientv3/namespace does:
// that one is to see all that is done.
func ask(ctx context.Context, client *clientv3.Client, request *pb.TxnRequest) (*pb.TxnResponse, error) {
	if client.ActiveConnection() == nil || reflect.TypeOf(client.KV) != ownKV {
		ifs, then := inClientWords(request)
		response, err := client.Txn(ctx).If(ifs...).Then(then...).Commit()
		return (*pb.TxnResponse)(response), err
	}
	// With the options that clientv3 has by default.
	response, err := clientv3.RetryKVClient(client).Txn(ctx, request, grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(math.MaxInt32))
	if err != nil {
		return nil, clientv3.ContextError(ctx, err)
	}
	return response, nil
}

// inClientWords are the comparisons and the operations of a Txn, or of a request of several, in the words of clientv3.
func inClientWords(request *pb.TxnRequest) (ifs []clientv3.Cmp, then []clientv3.Op) {
	for _, c := range request.Compare {
		ifs = append(ifs, clientv3.FromCompare(c))
	}
	for _, op := range request.Success {
		switch r := op.Request.(type) {
		case *pb.RequestOp_RequestPut:
			put := clientv3.OpPut(string(r.RequestPut.Key), "", clientv3.WithLease(clientv3.LeaseID(r.RequestPut.Lease)))
			put.WithValueBytes(r.RequestPut.Value)
			then = append(then, put)
		case *pb.RequestOp_RequestDeleteRange:
			then = append(then, clientv3.OpDelete(string(r.RequestDeleteRange.Key)))
		case *pb.RequestOp_RequestRange:
			then = append(then, clientv3.OpGet(string(r.RequestRange.Key)))
		case *pb.RequestOp_RequestTxn:
			ownIfs, ownThen := inClientWords(r.RequestTxn)
			then = append(then, clientv3.OpTxn(ownIfs, ownThen, nil))
		}
	}
	return ifs, then
}
